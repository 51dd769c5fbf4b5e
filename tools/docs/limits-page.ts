import { readFileSync } from 'node:fs';
import path from 'node:path';
import { requestJsonLimits } from '@postern/core/base';
import { controlLimits } from '@postern/server/control';
import { egressLimits } from '@postern/server/adapters/egress-socket';
import { gatewayLimits } from '@postern/server/gateway';
import { httpLimits } from '@postern/server/http';
import { coordinationLimits } from '../../packages/server/src/coordination/limits.ts';
import { mcpLimits } from '../../packages/server/src/mcp/limits.ts';
import { valkeyLimits } from '../../packages/server/src/adapters/limits-valkey/limits.ts';
import { postgresLimits } from '../../packages/server/src/adapters/store-postgres/limits.ts';
import { sqliteLimits } from '../../packages/server/src/adapters/store-sqlite/limits.ts';
import { root } from '../checks/source-files.ts';
import { generated, table, withUnit } from './markdown.ts';

interface Group {
  readonly title: string;
  readonly intro: string;
  readonly limits: object;
  /** Where the numbers stand with their reasons, which are this page's last column. */
  readonly source: string;
}

const groups: readonly Group[] = [
  {
    title: 'Every listener',
    intro:
      'The configuration sets its own `connections`, `connectionsPerSource`, `bodyPauseMs` and `bodyBytes` ([limits](config.md#limits)).',
    limits: httpLimits,
    source: 'packages/server/src/http/limits.ts',
  },
  {
    title: 'JSON of callers',
    intro: 'A body beyond any of these is refused before anything is allocated for the excess.',
    limits: requestJsonLimits,
    source: 'packages/core/src/base/json/limits.ts',
  },
  {
    title: 'Gateway',
    intro: 'What a model server may send, and how often it is asked for its list.',
    limits: gatewayLimits,
    source: 'packages/server/src/gateway/limits.ts',
  },
  {
    title: 'The way out',
    intro: 'Times of a call are those of its provider ([providers](config.md#providers)).',
    limits: egressLimits,
    source: 'packages/server/src/adapters/egress-socket/limits.ts',
  },
  {
    title: 'Changes of the state',
    intro: 'Beyond the queue a change is refused as `overloaded`; nothing was written.',
    limits: controlLimits,
    source: 'packages/server/src/control/limits.ts',
  },
  {
    title: 'Tools of agents',
    intro: 'Beyond its pace a principal is refused as `rate_limited`; nobody else is.',
    limits: mcpLimits,
    source: 'packages/server/src/mcp/limits.ts',
  },
  {
    title: 'The state file',
    intro: '',
    limits: sqliteLimits,
    source: 'packages/server/src/adapters/store-sqlite/limits.ts',
  },
  {
    title: 'Shared state in PostgreSQL',
    intro: 'Of each gateway that shares it.',
    limits: postgresLimits,
    source: 'packages/server/src/adapters/store-postgres/limits.ts',
  },
  {
    title: 'Shared limits in Valkey',
    intro: 'Of each gateway that shares it.',
    limits: valkeyLimits,
    source: 'packages/server/src/adapters/limits-valkey/limits.ts',
  },
  {
    title: 'The private network',
    intro: 'Of the embedded engine; its relay and STUN have their own.',
    limits: coordinationLimits,
    source: 'packages/server/src/coordination/limits.ts',
  },
];

/** The page of limits: numbers from the running values, reasons from the comments above them. */
export function limitsPage(): string {
  return [
    '# Limits',
    '',
    generated,
    'Everything has a bound. These are fixed in the program; the reasons are those of the source.',
    '',
    ...groups.flatMap(section),
  ].join('\n');
}

function section({ title, intro, limits, source }: Group): readonly string[] {
  const reasons = reasonsIn(readFileSync(path.join(root, source), 'utf8'));
  return [
    `## ${title}`,
    '',
    ...(intro === '' ? [] : [intro, '']),
    ...table(
      ['limit', 'value', 'why'],
      Object.entries(limits).map(([name, value]) => [
        `\`${name}\``,
        typeof value === 'number' ? withUnit(name, value) : `\`${String(value)}\``,
        reasons.get(name) ?? '',
      ]),
    ),
    '',
  ];
}

function reasonsIn(source: string): ReadonlyMap<string, string> {
  const matches = source.matchAll(
    /\/\*\* (?<reason>[^\n]*?) \*\/\n\s+(?:readonly )?(?<name>\w+):/g,
  );
  return new Map(
    [...matches].map(({ groups: found }) => [found?.['name'] ?? '', found?.['reason'] ?? '']),
  );
}
