import { conditionNames } from '../../packages/server/src/app/telemetry/conditions.ts';
import { metricRows } from '@postern/server/observe/metrics';
import { generated, table } from './markdown.ts';

/** The page of metrics, from the table that a scrape is written from. */
export function metricsPage(): string {
  return [
    '# Metrics',
    '',
    generated,
    '`GET /metrics` of the admin listener and of the control socket, in the text format of Prometheus. A scraper needs',
    '`metrics.read` of `postern.dev/cap/admin` in the policy (a key must also be made with `--admin`); `telemetry.openMetrics`',
    'opens it to every program on this machine. How to watch a Postern: [howto/monitoring.md](../howto/monitoring.md).',
    '',
    'Every label is bounded: models are those of the catalogue (at most 511, the others and whatever callers make up are',
    '`other`), routes and error codes those of our tables, providers, budgets and listeners those of the configuration. No label',
    'names a caller.',
    '',
    ...table(
      ['metric', 'type', 'labels', 'meaning'],
      Object.entries(metricRows).map(([name, { type, labels, help }]) => [
        `\`${name}\``,
        type,
        labels.map((label) => `\`${label}\``).join(', '),
        help,
      ]),
    ),
    '',
    '## Buckets',
    '',
    ...Object.entries(metricRows).flatMap(([name, { buckets }]) =>
      buckets === undefined ? [] : [`- \`${name}\`: ${buckets.join(', ')}`],
    ),
    '',
    '## Conditions of alerts',
    '',
    `\`postern_alerts_firing\` and the webhooks of [alerts](config.md#alerts) tell them apart by name: ${conditionNames.map((name) => `\`${name}\``).join(', ')}.`,
    '',
  ].join('\n');
}
