import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { metricRows } from '@postern/server/observe/metrics';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';

const file = path.resolve(import.meta.dirname, '../../deploy/grafana/postern.json');
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets: readonly { readonly expr: string; readonly refId: string }[];
}

// What of its shape is used here, the tests below hold.
const dashboard = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly definition?: string }[] };
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
};
const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
const queries = [
  ...expressions,
  ...dashboard.annotations.list.map(({ expr }) => expr),
  ...dashboard.templating.list.flatMap(({ definition }) => definition ?? []),
];

/** Every series that a query names, by the metric and the labels in braces. */
function namesIn(query: string): readonly { name: string; labels: readonly string[] }[] {
  return [...query.matchAll(/\b(postern_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', braces = '']) => ({
      name,
      labels: [...braces.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label),
    }),
  );
}

function metricOf(name: string): string | undefined {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  const rows: Readonly<Record<string, { readonly type: string } | undefined>> = metricRows;
  if (base !== name && rows[base]?.type === 'histogram') return base;
  return rows[name] !== undefined && rows[name].type !== 'histogram' ? name : undefined;
}

describe('the dashboard', () => {
  test('asks only for metrics and labels that exist', () => {
    expect(expressions.length).toBeGreaterThan(30);
    const rows: Readonly<Record<string, { readonly labels: readonly string[] } | undefined>> =
      metricRows;
    const unknown = queries.flatMap((query) => {
      const found = namesIn(query);
      if (found.length === 0) return [`no metric: ${query}`];
      return found.flatMap(({ name, labels }) => {
        const metric = metricOf(name);
        if (metric === undefined) return [name];
        const known = [...(rows[metric]?.labels ?? []), 'instance', 'le'];
        return labels.filter((label) => !known.includes(label)).map((label) => `${name}{${label}}`);
      });
    });
    expect(unknown).toEqual([]);
  });

  test('groups and shows only by labels of the metrics in the query', () => {
    const rows: Readonly<Record<string, { readonly labels: readonly string[] } | undefined>> =
      metricRows;
    for (const query of expressions) {
      const known = new Set(
        namesIn(query).flatMap(({ name }) => rows[metricOf(name) ?? '']?.labels ?? []),
      );
      const grouped = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) =>
        list.split(',').map((label) => label.trim()),
      );
      for (const label of grouped)
        expect(known.has(label) || ['le', 'instance'].includes(label), query).toBe(true);
    }
  });

  test('every metric has its place, or is one that stands beside another', () => {
    const shown = new Set(
      queries.flatMap((query) => namesIn(query).map(({ name }) => metricOf(name))),
    );
    expect(Object.keys(metricRows).filter((name) => !shown.has(name))).toEqual([
      'postern_answer_bytes_total',
      'postern_breaker_changes_total',
      'postern_wakes_total',
      'postern_health_checks_failed_total',
      'postern_budget_accounts',
      'postern_journal_records',
      'postern_keys',
      'postern_revocations',
      'postern_attestation_results_total',
    ]);
  });

  test('no two panels lie on each other or share an id', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });

  test.skipIf(!hasPromtool)('promtool reads every query (Debian: prometheus)', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'postern-rules-'));
    try {
      const rules = expressions.map((expr, i) => ({
        record: `postern:query:${i}`,
        expr: expr.replaceAll('$__rate_interval', '5m'),
      }));
      const rulesFile = path.join(folder, 'rules.yaml');
      writeFileSync(rulesFile, stringify({ groups: [{ name: 'postern', rules }] }));
      const checked = spawnSync('promtool', ['check', 'rules', rulesFile], { encoding: 'utf8' });
      expect(checked.stderr).toBe('');
      expect(checked.stdout).toContain(`${rules.length} rules found`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
