import path from 'node:path';
import { importsOf, type SourceFile } from './source-files.ts';

/** What a folder may import of ours, and why no more. The order is the order in which to read the system. */
export interface Layer {
  readonly folder: string;
  readonly may: readonly string[];
  /** Libraries and Node modules, by prefix; undefined means any. */
  readonly libraries?: readonly string[];
  readonly why: string;
}

const pure =
  'core runs in Node and in the browser: the same input must give the same output everywhere';
const nounsApart = `${pure}; nouns meet in state and in the server, so that each can be understood and tested alone`;
const core = [
  'core/base',
  'core/errors',
  'core/contract',
  'core/identity',
  'core/policy',
  'core/quota',
  'core/price',
  'core/routing',
  'core/dialect',
  'core/registry',
  'core/attest',
  'core/state',
];
const planesApart =
  'planes meet in Snapshot and Journal values, never in each other’s code: one may fail or move to another process without the others';

export const layers: readonly Layer[] = [
  { folder: 'core/base', may: [], libraries: [], why: pure },
  {
    folder: 'core/errors',
    may: ['core/base'],
    libraries: [],
    why: 'the table of refusals knows no noun, so that every noun can refuse',
  },
  {
    folder: 'core/contract',
    may: ['core/base', 'core/errors'],
    libraries: ['zod'],
    why: 'shapes that cross the border know what they look like, not what is done with them',
  },
  {
    folder: 'core/identity',
    may: ['core/base', 'core/errors', 'core/contract'],
    libraries: [],
    why: nounsApart,
  },
  {
    folder: 'core/policy',
    may: ['core/base', 'core/errors', 'core/contract', 'core/identity'],
    libraries: [],
    why: nounsApart,
  },
  {
    folder: 'core/quota',
    may: ['core/base', 'core/errors', 'core/contract'],
    libraries: [],
    why: nounsApart,
  },
  {
    folder: 'core/price',
    may: ['core/base', 'core/errors', 'core/contract'],
    libraries: [],
    why: nounsApart,
  },
  {
    folder: 'core/routing',
    may: ['core/base', 'core/errors', 'core/contract', 'core/price'],
    libraries: [],
    why: nounsApart,
  },
  {
    folder: 'core/dialect',
    may: ['core/base', 'core/errors', 'core/contract'],
    libraries: [],
    why: nounsApart,
  },
  {
    folder: 'core/registry',
    may: ['core/base', 'core/errors', 'core/contract', 'core/identity'],
    libraries: [],
    why: nounsApart,
  },
  {
    folder: 'core/attest',
    may: ['core/base', 'core/errors', 'core/contract'],
    libraries: [],
    why: nounsApart,
  },
  {
    folder: 'core/state',
    may: core.slice(0, -1),
    libraries: [],
    why: `${pure}; time and ids are arguments`,
  },
  {
    folder: 'server/http',
    may: ['core/base', 'core/errors', 'core/contract'],
    why: 'the transport knows no plane, so that every plane stands behind the same listener',
  },
  {
    folder: 'server/observe',
    may: [...core, 'server/http'],
    why: 'observers are told; they ask nobody',
  },
  { folder: 'server/gateway', may: [...core, 'server/http', 'server/observe'], why: planesApart },
  {
    folder: 'server/coordination',
    may: [...core, 'server/http', 'server/observe'],
    why: planesApart,
  },
  { folder: 'server/control', may: [...core, 'server/http', 'server/observe'], why: planesApart },
  { folder: 'server/mesh', may: [...core, 'server/http', 'server/observe'], why: planesApart },
  {
    folder: 'server/mcp',
    may: [...core, 'server/http', 'server/observe', 'server/control'],
    why: 'tools are control operations with a schema: no logic of their own',
  },
  {
    folder: 'server/ops',
    may: [...core, 'server/http', 'server/observe', 'server/control'],
    why: 'checks and incidents act through control operations',
  },
  {
    folder: 'server/adapters',
    may: [
      ...core,
      'server/http',
      'server/observe',
      'server/gateway',
      'server/control',
      'server/coordination',
      'server/mesh',
      'server/ops',
    ],
    why: 'an adapter implements the port of its consumer and knows no other adapter',
  },
  {
    folder: 'server/app',
    may: [
      ...core,
      'server/http',
      'server/observe',
      'server/gateway',
      'server/coordination',
      'server/control',
      'server/mesh',
      'server/mcp',
      'server/ops',
      'server/adapters',
    ],
    why: 'the composition root imports everything and is imported by the command line alone',
  },
  {
    folder: 'postern',
    may: [...core, 'server/app', 'server/mcp', 'server/observe', 'server/adapters'],
    why: 'the command line talks to a running Postern over its socket; only `up`, `mcp` and offline commands load the server',
  },
];

export interface Violation {
  readonly file: string;
  readonly imported: string;
  readonly why: string;
}

/** `packages/server/src/http/x.ts` → `server/http`; the whole of postern is one layer. */
export function layerOf(file: string): string | undefined {
  const match = /^packages\/(core|server|postern)\/(?:src\/)?([^/]+)\//.exec(file);
  if (match === null) return undefined;
  return match[1] === 'postern' ? 'postern' : `${match[1]}/${match[2]}`;
}

export function layerViolations(files: readonly SourceFile[]): readonly Violation[] {
  const byFolder = new Map(layers.map((layer) => [layer.folder, layer]));
  const violations: Violation[] = [];
  for (const file of files) {
    if (
      !file.path.startsWith('packages/') ||
      file.path.endsWith('.test.ts') ||
      file.path.includes('/testing/')
    )
      continue;
    const own =
      layerOf(file.path) ?? (file.path.startsWith('packages/postern/') ? 'postern' : undefined);
    const layer = own === undefined ? undefined : byFolder.get(own);
    if (own === undefined || layer === undefined) {
      violations.push({
        file: file.path,
        imported: '',
        why: 'this folder is in no layer: add it to the table, with its edges and the reason',
      });
      continue;
    }
    for (const imported of importsOf(file.text)) {
      const why = forbidden(file.path, imported, layer);
      if (why !== undefined) violations.push({ file: file.path, imported, why });
    }
  }
  return violations;
}

function forbidden(file: string, imported: string, layer: Layer): string | undefined {
  const target = targetLayer(file, imported);
  if (target === undefined) {
    const libraries = layer.libraries;
    return libraries === undefined ||
      libraries.some((each) => imported === each || imported.startsWith(`${each}/`))
      ? undefined
      : layer.why;
  }
  if (target === layer.folder)
    return layer.folder === 'server/adapters' ? otherAdapter(file, imported) : undefined;
  return layer.may.includes(target) ? undefined : layer.why;
}

/** Adapters share nothing with each other, but for the crypto primitives that several verifiers are given, and what AWS asks of everybody who calls it. */
const sharedAdapters: readonly string[] = ['aws', 'crypto-node', 'system-node'];

function otherAdapter(file: string, imported: string): string | undefined {
  const own = /adapters\/([^/]+)/.exec(file)?.[1];
  const target = /adapters\/([^/]+)/.exec(resolvePath(file, imported))?.[1];
  if (own === target || target === undefined || sharedAdapters.includes(target)) return undefined;
  return 'an adapter knows the port that it implements, never another adapter';
}

function resolvePath(file: string, imported: string): string {
  return imported.startsWith('.') ? path.posix.join(path.posix.dirname(file), imported) : imported;
}

/** The layer of ours that an import leads to; undefined for libraries and Node. */
function targetLayer(file: string, imported: string): string | undefined {
  const scoped = /^@postern\/(core|server)\/([^/]+)/.exec(imported);
  if (scoped !== null) return `${scoped[1]}/${scoped[2]}`;
  return imported.startsWith('.') ? (layerOf(resolvePath(file, imported)) ?? 'postern') : undefined;
}
