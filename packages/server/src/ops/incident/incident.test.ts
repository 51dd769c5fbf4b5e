import { err, ok, present, Secret } from '@postern/core/base';
import { parseAddr, parsePrefix, prefixContains } from '@postern/core/base/netip';
import type { Inventory } from '@postern/core/policy';
import { noProtection } from '@postern/core/policy/change';
import type { CommandKind } from '@postern/core/state';
import { noPolicy, recogniseKey, tokenRevocation } from '@postern/core/state';
import { beforeEach, describe, expect, test } from 'vitest';
import { createMemoryDisk, openMemoryStore } from '../../../../../test/fakes/store-memory.ts';
import { createFakeSystem, type FakeSystem } from '../../../../../test/fakes/system.ts';
import type { Control, Requester } from '../../control/index.ts';
import { createControl, createKey } from '../../control/index.ts';
import type {
  Evidence,
  IncidentPorts,
  IncidentRequest,
  OperatedUpstream,
  Progress,
  StepName,
} from './index.ts';
import { evidenceText, readEvidence, runIncident, stepNames, stepRows } from './index.ts';

const by: Requester = { actor: { principal: 'local:uid:1000', channel: 'control-socket' } };
const issuer = 'https://issuer.test';
const address = (text: string) => {
  const parsed = parseAddr(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};

const node = (id: string, ip: string, tags: readonly string[], userId?: string) => ({
  id,
  hostname: id,
  addresses: [address(ip)],
  userId,
  tags,
  advertisedRoutes: [],
  approvedRoutes: [],
  postureAttributes: new Map(),
});
const inventory: Inventory = {
  users: [{ id: 'u1', login: 'ann@example.com', roles: [] }],
  nodes: [
    node('ai', '100.64.0.1', ['tag:gateway']),
    node('gpu', '100.64.0.9', ['tag:gpu']),
    node('laptop', '100.64.0.7', [], 'u1'),
  ],
};
const widePolicy = JSON.stringify({
  tagOwners: { 'tag:gateway': [], 'tag:gpu': [] },
  grants: [
    { src: ['ann@example.com'], dst: ['tag:gateway'], ip: ['tcp:80'] },
    { src: ['ann@example.com', 'tag:gateway'], dst: ['tag:gpu'], ip: ['tcp:8000'] },
  ],
});

/** What goes wrong in a world on purpose. */
interface Disabled {
  readonly commands?: readonly CommandKind[];
  readonly restart?: true;
  readonly rotate?: true;
  readonly keep?: true;
  readonly funnelOff?: true;
  readonly listeners?: true;
  readonly cut?: true;
  readonly log?: true;
}

class World {
  readonly system: FakeSystem = createFakeSystem();
  control!: Control;
  disabled: Disabled = {};
  funnels: readonly string[] = ['ai.ts.net:443'];
  pid = 1;
  upstreamKey = 'old-upstream-key';
  gatewayKey = 'old-upstream-key';
  flaw: string | undefined;
  readonly handed: string[] = [];
  saved: Progress | undefined;

  async begin(): Promise<void> {
    const store = openMemoryStore(createMemoryDisk());
    if (!store.ok) throw new Error(store.error.message);
    const made = await createControl({ store: store.value, system: this.system });
    if (!made.ok) throw new Error(made.error.message);
    this.control = this.#muted(made.value);
    await createKey(this.control, { name: 'ci', scope: {}, boundTo: [] }, by);
    await this.control.execute(
      {
        kind: 'policy.apply',
        text: widePolicy,
        digest: 'a'.repeat(64),
        base: noPolicy,
        risk: 'low',
      },
      by,
    );
    const user = await this.control.execute(
      {
        kind: 'preauthkey.create',
        digest: 'b'.repeat(64),
        hint: 'abcd',
        tags: ['tag:gpu'],
        reusable: false,
        ephemeral: true,
        preApproved: true,
        lifeMs: 60_000,
      },
      by,
    );
    if (!user.ok) throw new Error(user.error.message);
  }

  /** A control plane that says that it did what it did not do. */
  #muted(control: Control): Control {
    return {
      ...control,
      execute: async (command, who) => {
        if (this.disabled.commands?.includes(command.kind) !== true)
          return control.execute(command, who);
        const snapshot = control.snapshot();
        const [key] = [...snapshot.keysById.values()];
        const events =
          command.kind === 'key.rotate'
            ? [{ kind: 'key.created' as const, key: present(key, 'a key') }]
            : [];
        return ok({ snapshot, events });
      },
    };
  }

  #isIsolated(): boolean {
    const { isolation } = this.control.snapshot().containment;
    return isolation !== undefined && this.disabled.listeners !== true;
  }

  #blocks(text: string): boolean {
    const parsed = address(text);
    return [...this.control.snapshot().containment.blocksById.values()].some(({ target }) => {
      const prefix = target.by === 'address' ? parsePrefix(target.prefix) : err('');
      return prefix.ok && prefixContains(prefix.value, parsed);
    });
  }

  get ports(): IncidentPorts {
    const { control, system } = this;
    const upstream: OperatedUpstream = {
      provider: 'gpu',
      restarter: {
        place: 'a fake',
        startMark: () => Promise.resolve(ok(`pid ${this.pid}`)),
        restart: () => {
          if (this.disabled.restart !== true) this.pid += 1;
          return Promise.resolve(ok(undefined));
        },
      },
      rotator: {
        place: 'a fake',
        rotate: (next) => {
          if (this.disabled.rotate !== true) this.upstreamKey = next.reveal();
          return Promise.resolve(ok(undefined));
        },
      },
      credential: () => Promise.resolve(ok(new Secret(this.gatewayKey))),
      keep: (next) => {
        this.gatewayKey = next.reveal();
        return Promise.resolve(ok(undefined));
      },
      status: (credential) =>
        Promise.resolve(ok(credential?.reveal() === this.upstreamKey ? 200 : 401)),
    };
    const sockets = (): { host: string; port: number }[] =>
      this.#isIsolated()
        ? [{ host: '127.0.0.1', port: 8080 }]
        : [
            { host: '127.0.0.1', port: 8080 },
            { host: '0.0.0.0', port: 443 },
          ];
    return {
      control,
      policy: {
        control,
        ports: {
          inventory: () => inventory,
          names: () => ({ limits: new Set(), budgets: new Set() }),
          principalOfKey: () => {
            throw new Error('not asked');
          },
          prepare: () => Promise.resolve(),
          builtIn: () => undefined,
          protection: () => noProtection,
          candidate: () =>
            Promise.resolve({ file: '', text: undefined, problem: undefined, autoApply: false }),
          approved: () => undefined,
        },
      },
      gatewayNames: () => ['ai', 'tag:gateway', 'a device with tag:gateway'],
      places: () =>
        Promise.resolve([
          {
            provider: 'gpu',
            host: 'gpu.mesh.internal',
            port: 8000,
            isVendor: false,
            addresses: ok(['100.64.0.9']),
            isLiteral: false,
          },
        ]),
      upstream: (provider) => (provider === 'gpu' ? upstream : undefined),
      rotatable: () => ['gpu'],
      issuers: () => [issuer],
      records: (after) =>
        Promise.resolve(
          this.disabled.log === true
            ? err('the log cannot be read')
            : ok({
                items: [1, 2].map((index) => ({
                  index: after + index,
                  at: new Date(system.nowMs() - 1_000).toISOString(),
                  kind: 'request',
                  data: { caller: 'key:key_gone', client: '203.0.113.7', error: 'access_denied' },
                })),
                ...(after === 0 ? { next: 2 } : {}),
              }),
        ),
      verify: () => Promise.resolve(ok(this.flaw)),
      hand: (_id, secrets) => {
        this.handed.push(...secrets.map(({ name }) => name));
        return Promise.resolve('/state/incidents/x.secrets');
      },
      sleep: (ms) => {
        system.atMs += ms;
        return Promise.resolve();
      },
      doors: {
        listeners: () => [],
        sockets: () => Promise.resolve(ok(sockets())),
        answers: (_host, port) => Promise.resolve(sockets().some((each) => each.port === port)),
        outsideAddresses: () => ['198.18.0.5'],
        knock: (credential) => Promise.resolve(ok(this.#status(credential.reveal()))),
        knockAt: (_url, credential) => Promise.resolve(ok(this.#status(credential.reveal()))),
        turnsAway: (text) => this.#blocks(text),
        openFrom: () => (this.disabled.cut !== true && this.#blocks('203.0.113.7') ? 0 : 2),
        funnels: () => Promise.resolve(ok(this.funnels)),
        funnelOff: () => {
          const before = this.funnels;
          if (this.disabled.funnelOff !== true) this.funnels = [];
          return Promise.resolve(ok(before));
        },
      },
    };
  }

  #status(text: string): number {
    const state = this.control.snapshot();
    const { nowMs, sha256Hex } = this.system;
    if (text.startsWith('jwt ')) {
      const token = { issuer, subject: 'ann', issuedAtMs: Number(text.slice(4)) };
      return tokenRevocation(state, token) === undefined ? 200 : 401;
    }
    return recogniseKey(state, text, { nowMs: nowMs(), sha256Hex })?.ok === true ? 200 : 401;
  }

  run(request: Partial<IncidentRequest> & { readonly step: StepName }): Promise<Evidence> {
    return runIncident({
      id: 'inc_1',
      request: { reason: 'test', isDryRun: false, isDrill: false, ...request },
      by,
      ports: this.ports,
      ...(this.saved === undefined ? {} : { progress: this.saved }),
      save: (progress) => {
        this.saved = structuredClone(progress);
        return Promise.resolve();
      },
      signal: AbortSignal.timeout(10_000),
    });
  }
}

let world: World;
beforeEach(async () => {
  world = new World();
  await world.begin();
});

type Ask = Partial<IncidentRequest> & { readonly step: StepName };
const asks = {
  rotate: { step: 'rotate', classes: ['api-keys', 'preauth'] },
  provider: { step: 'rotate', classes: ['provider'] },
  isolate: { step: 'isolate', target: 'all' },
  access: { step: 'audit-access' },
  reset: { step: 'reset-model', target: 'gpu' },
  revoke: { step: 'revoke-jwts' },
  block: { step: 'block-ip', address: '203.0.113.7' },
  records: { step: 'verify-records' },
} as const satisfies Record<string, Ask>;

/** An effect that is missing, and the step whose evidence must then not say that it is proven. */
const missing: Readonly<Record<string, readonly [ask: Ask, disabled: Disabled]>> = {
  'keys stay as they are': [asks.rotate, { commands: ['key.rotate'] }],
  'pre-auth keys stay': [asks.rotate, { commands: ['preauthkey.revoke'] }],
  'the model server keeps its key': [asks.provider, { rotate: true }],
  'the state is not isolated': [asks.isolate, { commands: ['isolation.set'] }],
  'listeners stay open': [asks.isolate, { listeners: true }],
  'Funnel stays on': [asks.isolate, { funnelOff: true }],
  'the policy stays wide': [asks.isolate, { commands: ['policy.apply'] }],
  'the log is not read': [asks.access, { log: true }],
  'the process stays': [asks.reset, { restart: true }],
  'tokens stay good': [asks.revoke, { commands: ['revocation.create'] }],
  'the address stays welcome': [asks.block, { commands: ['block.create'] }],
  'open connections stay': [asks.block, { cut: true }],
};

describe('a step', () => {
  test.each(Object.entries(asks))('%s proves itself', async (_name, ask) => {
    const evidence = await world.run(ask);
    expect(evidence.proofs.filter(({ holds }) => !holds)).toEqual([]);
    expect(evidence.acts.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
    expect(evidence.verdict).toBe('proven');
  });

  test.each(Object.keys(missing))('is not proven where %s', async (name) => {
    const [ask, disabled] = present(missing[name], name);
    world.disabled = disabled;
    let result: string;
    try {
      result = (await world.run(ask)).verdict;
    } catch (fault) {
      // A control plane that lies about its journal is a defect, and shows as one.
      result = fault instanceof Error ? 'unproven' : 'none';
    }
    expect(result).toBe('unproven');
  });

  test.each(Object.entries(asks))('%s does nothing in a dry run', async (_name, ask) => {
    const before = world.control.snapshot();
    const evidence = await world.run({ ...ask, isDryRun: true });
    expect(evidence.verdict).toBe('planned');
    expect(evidence.acts.every(({ outcome }) => outcome === 'planned' || outcome === 'none')).toBe(
      true,
    );
    expect(world.control.snapshot().index).toBe(before.index);
    expect([world.pid, world.upstreamKey, world.funnels.length]).toEqual([
      1,
      'old-upstream-key',
      1,
    ]);
    expect(world.saved).toBeUndefined();
  });

  test('finds whole records only where they are', async () => {
    world.flaw = 'Log: record 7: its hash is another one';
    expect((await world.run(asks.records)).verdict).toBe('unproven');
    expect((await world.run(asks.access)).verdict).toBe('unproven');
  });
});

describe('rotation', () => {
  test('hands out each new secret once, and goes on where it was broken off', async () => {
    await world.run(asks.rotate);
    expect(world.handed).toEqual(['ci']);
    const again = await world.run(asks.rotate);
    expect(again.verdict).toBe('proven');
    expect(world.handed).toEqual(['ci']);
  });

  test('leaves the old key of a server in place where nobody can give it a new one', async () => {
    const evidence = await world.run({ step: 'rotate', classes: ['provider'], target: 'other' });
    expect(evidence.verdict).toBe('unproven');
    expect(evidence.follow_up.join()).toContain('operate.rotate');
  });
});

describe('isolation', () => {
  test('takes away the rules that lead to inference, and no others', async () => {
    await world.run(asks.isolate);
    const text = world.control.snapshot().policy.versions[0]?.text ?? '';
    expect(JSON.parse(text)).toMatchObject({
      grants: [
        { src: ['ann@example.com'], dst: ['tag:gateway'] },
        { src: ['tag:gateway'], dst: ['100.64.0.9'], ip: ['tcp:8000'] },
      ],
    });
  });
});

describe('a revocation of tokens', () => {
  test('is shown by a token that worked before, here and at other gateways', async () => {
    const token = new Secret(`jwt ${world.system.nowMs() - 5_000}`);
    const replicas = ['http://gw-2:8080'];
    const evidence = await world.run({ ...asks.revoke, token, replicas });
    expect(
      evidence.proofs.map(({ what, after }) => [what, after.replace(/\d+ ms/, 'n ms')]),
    ).toEqual([
      [`tokens of ${issuer}`, 'issued before: refused; issued after: counted'],
      ['the token given, at this gateway', 'status 401'],
      ['an old credential at http://gw-2:8080', 'status 401 after n ms'],
    ]);
    expect(JSON.stringify(evidence)).not.toContain('jwt 1');
  });
});

describe('a block', () => {
  test('of the operator’s own address needs to be forced', async () => {
    const ask = { ...asks.block, address: '203.0.113.0/24', ownAddress: '203.0.113.9' };
    const evidence = await world.run(ask);
    expect(evidence.verdict).toBe('unproven');
    expect(world.control.snapshot().containment.blocksById.size).toBe(0);
    expect((await world.run({ ...ask, force: true })).verdict).toBe('proven');
  });

  test.each(['', 'x', '0.0.0.0/0'])('of %s is none', async (text) => {
    expect((await world.run({ step: 'block-ip', address: text })).verdict).toBe('unproven');
  });
});

describe('evidence', () => {
  test('has one text, and is read back from that text alone', async () => {
    const evidence = await world.run(asks.access);
    const text = evidenceText(evidence);
    expect(readEvidence(text)).toEqual(ok(evidence));
    expect(readEvidence(text.replace('"v":1', '"v": 1')).ok).toBe(false);
    expect(readEvidence('{}\n').ok).toBe(false);
    expect(evidence.report.join('\n')).toContain(
      'key:key_gone (not known any more) from 203.0.113.7',
    );
  });

  test('every step is in the table of steps', () => {
    expect(stepRows.map(({ name }) => name).toSorted()).toEqual(
      [...stepNames, 'restore'].toSorted(),
    );
  });
});
