/**
 * How long the policy engine takes: compiling a whole tailnet, one node coming, one decision of the gateway.
 * Two shapes: grants between teams and services (what people write), and the worst case of rules for everyone.
 */
import { performance } from 'node:perf_hooks';
import type { Principal } from '@postern/core/identity';
import { type Addr, parseAddr } from '@postern/core/base/netip';
import {
  AccessIndex,
  compileTailnet,
  type Inventory,
  type InventoryNode,
  parsePolicyValue,
  type PolicyFile,
  type Tailnet,
} from '@postern/core/policy';

/** `teams`: groups to services. `everyone`: every rule from every member to every machine. */
type Shape = 'teams' | 'everyone';

interface Size {
  readonly shape: Shape;
  readonly nodes: number;
  readonly rules: number;
}

/** Members of a team, machines of a service: what stays the same while a tailnet grows. */
const nodesPerTag = 10;
const usersPerGroup = 10;

function addr(text: string): Addr {
  const parsed = parseAddr(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function addressesOf(i: number): readonly Addr[] {
  const v4 = `100.${64 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
  return [addr(v4), addr(`fd7a:115c:a1e0::${(i + 1).toString(16)}`)];
}

/** Half of the machines belong to people, half are tagged; every hundredth is a subnet router. */
function nodeOf(i: number, tags: number): InventoryNode {
  const isTagged = i % 2 === 1;
  const tag = `tag:s${(i >> 1) % tags}`;
  return {
    id: `n${i}`,
    hostname: `host-${i}`,
    addresses: addressesOf(i),
    userId: isTagged ? undefined : `u${i >> 1}`,
    tags: isTagged ? [tag] : [],
    advertisedRoutes: [],
    approvedRoutes: [],
    postureAttributes: new Map(),
  };
}

function tagsFor(nodes: number): number {
  return Math.max(1, Math.floor(nodes / 2 / nodesPerTag));
}

function inventoryOf(nodes: number): Inventory {
  const tags = tagsFor(nodes);
  const users = Array.from({ length: Math.ceil(nodes / 2) }, (_, i) => ({
    id: `u${i}`,
    login: `u${i}@example.com`,
    roles: [],
  }));
  return { users, nodes: Array.from({ length: nodes }, (_, i) => nodeOf(i, tags)) };
}

function policyOf({ shape, nodes, rules }: Size): PolicyFile {
  const tags = tagsFor(nodes);
  const groups = Math.max(1, Math.floor(nodes / 2 / usersPerGroup));
  const parsed = parsePolicyValue({
    groups: Object.fromEntries(
      Array.from({ length: groups }, (_, g) => [
        `group:g${g}`,
        Array.from({ length: usersPerGroup }, (_, u) => `u${g * usersPerGroup + u}@example.com`),
      ]),
    ),
    tagOwners: Object.fromEntries(Array.from({ length: tags }, (_, t) => [`tag:s${t}`, []])),
    grants: Array.from({ length: rules }, (_, r) => ({
      src:
        shape === 'everyone'
          ? ['autogroup:member']
          : [`group:g${r % groups}`, `tag:s${(r * 7) % tags}`],
      dst:
        shape === 'everyone'
          ? ['autogroup:tagged', 'autogroup:member']
          : [`tag:s${(r * 3) % tags}`],
      ip: [`tcp:${1_000 + (r % 50_000)}`],
    })),
  });
  if (!parsed.accepted) throw new Error(parsed.refusal);
  return parsed.file;
}

interface Measured {
  readonly compileMs: number;
  readonly entriesOut: number;
  /** The change itself and the filter of the node that changed. */
  readonly updateMs: number;
  /** The filters of all nodes that have to be told. */
  readonly tellMs: number;
  readonly told: number;
}

function compileAll(
  file: PolicyFile,
  inventory: Inventory,
): { tailnet: Tailnet; entriesOut: number } {
  const tailnet = compileTailnet(file, inventory);
  let entriesOut = 0;
  for (const { id } of inventory.nodes) {
    for (const { DstPorts } of tailnet.filterOf(id)) entriesOut += DstPorts?.length ?? 0;
  }
  return { tailnet, entriesOut };
}

/** A machine of a person comes; then every node that has to be told gets its new filter. */
function updateOnce(
  tailnet: Tailnet,
  size: Size,
  serial: number,
): { readonly updateMs: number; readonly tellMs: number; readonly told: number } {
  const node = {
    ...nodeOf(0, tagsFor(size.nodes)),
    id: `new${serial}`,
    addresses: addressesOf(size.nodes + 1 + serial),
  };
  const { ms: updateMs, value: update } = timed(() => {
    const result = tailnet.update({ kind: 'put', node });
    result.tailnet.filterOf(node.id);
    return result;
  });
  const { ms: tellMs } = timed(() => {
    for (const id of update.affected) update.tailnet.filterOf(id);
  });
  return { updateMs, tellMs, told: update.affected.length };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function timed<T>(work: () => T): { readonly ms: number; readonly value: T } {
  const start = performance.now();
  const value = work();
  return { ms: performance.now() - start, value };
}

function measure(size: Size, runs: number): Measured {
  const inventory = inventoryOf(size.nodes);
  const file = policyOf(size);
  const compiles = Array.from({ length: runs }, () => timed(() => compileAll(file, inventory)));
  const last = compiles.at(-1)?.value ?? compileAll(file, inventory);
  const updates = Array.from({ length: runs * 5 }, (_, i) => updateOnce(last.tailnet, size, i));
  return {
    compileMs: median(compiles.map(({ ms }) => ms)),
    entriesOut: last.entriesOut,
    updateMs: median(updates.map(({ updateMs }) => updateMs)),
    tellMs: median(updates.map(({ tellMs }) => tellMs)),
    told: updates.at(-1)?.told ?? 0,
  };
}

/** 1,000 grants for one caller, each for its own model, and half of them globs. */
function decisionUs(calls: number): { warm: number; coldModel: number } {
  const grants = Array.from({ length: 1_000 }, (_, i) => ({
    src: ['group:all'],
    dst: ['*'],
    app: {
      'postern.dev/cap/ai': [
        {
          models: [i % 2 === 0 ? `p${i}/m${i}` : `p${i}/**`],
          dialects: ['openai-chat'],
          budgets: ['b'],
        },
      ],
    },
  }));
  const { file } = parsePolicyValue({ groups: { 'group:all': [] }, grants });
  const index = new AccessIndex(file, { revision: 'bench', point: undefined });
  const principal: Principal = {
    authority: 'tailnet',
    id: 'n1',
    kind: 'user',
    display: 'alice',
    selectors: ['alice@example.com', 'group:all'],
  };
  const request = { dialect: 'openai-chat', maxOutputTokens: 100, attested: false };
  let allowed = 0;
  const decide = (model: string): void => {
    if (index.accessOf(principal).decideAi({ ...request, model }).allowed) allowed += 1;
  };
  for (let i = 0; i < 20_000; i += 1) decide(`p${i % 400}/m${i % 400}`);
  const warm = timed(() => {
    for (let i = 0; i < calls; i += 1) decide(`p${i % 400}/m${i % 400}`);
  });
  const cold = timed(() => {
    for (let i = 0; i < 2_000; i += 1) decide(`p${i % 1_000}/other${i}`);
  });
  if (allowed === 0) throw new Error('nothing was allowed');
  return { warm: (warm.ms * 1_000) / calls, coldModel: (cold.ms * 1_000) / 2_000 };
}

function sizes(quick: boolean): readonly Size[] {
  const rules = quick ? [10, 1_000] : [10, 100, 1_000];
  const teams = [100, 1_000, 5_000].flatMap((nodes) =>
    rules.map((count) => ({ shape: 'teams', nodes, rules: count }) as const),
  );
  const everyone = [1_000, 5_000].map(
    (nodes) => ({ shape: 'everyone', nodes, rules: 10 }) as const,
  );
  return [...teams, ...everyone];
}

/** Ratios are measured ÷ allowed: below 1 the promise holds. */
export async function run({ quick }: { quick: boolean }): Promise<Record<string, number>> {
  const runs = quick ? 3 : 7;
  const rows = sizes(quick).map((size) => ({ ...size, ...measure(size, runs) }));
  console.table(
    rows.map((row) => ({
      shape: row.shape,
      nodes: row.nodes,
      rules: row.rules,
      'compile ms': row.compileMs.toFixed(2),
      'entries out': row.entriesOut,
      'us per entry': ((row.compileMs * 1_000) / Math.max(1, row.entriesOut)).toFixed(2),
      'one node ms': row.updateMs.toFixed(3),
      told: row.told,
      'tell them ms': row.tellMs.toFixed(3),
    })),
  );
  const decision = decisionUs(quick ? 200_000 : 1_000_000);
  console.table([
    {
      'decision us': decision.warm.toFixed(3),
      'first time a model is asked us': decision.coldModel.toFixed(1),
    },
  ]);
  await Promise.resolve();
  return {
    compile: Math.max(...rows.map((row) => row.compileMs)) / 2_000,
    update: Math.max(...rows.map((row) => row.updateMs)) / 10,
    decision: decision.warm / 2,
  };
}
