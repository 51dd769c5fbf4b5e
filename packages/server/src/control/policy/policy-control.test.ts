import { noProtection } from '@postern/core/policy/change';
import type { Caller, Principal } from '@postern/core/identity';
import { policyDigest } from '@postern/core/state';
import { afterEach, describe, expect, test } from 'vitest';
import type { MemoryDisk } from '../../../../../test/fakes/store-memory.ts';
import { createMemoryDisk, openMemoryStore } from '../../../../../test/fakes/store-memory.ts';
import { createFakeSystem } from '../../../../../test/fakes/system.ts';
import type { Control, Requester } from '../control.ts';
import { createControl } from '../control.ts';
import type { PolicyPorts } from './index.ts';
import { applyPolicyText, approvePolicyPlan, planPolicy, watchTrial } from './index.ts';

const disks: Control[] = [];
afterEach(async () => {
  for (const control of disks.splice(0)) await control.close();
});

const ports: PolicyPorts = {
  inventory: () => ({ users: [], nodes: [] }),
  names: () => ({ limits: new Set(), budgets: new Set(['lab']) }),
  principalOfKey: () => person('key', 'k'),
  prepare: () => Promise.resolve(),
  builtIn: () => undefined,
  protection: () => noProtection,
  candidate: () =>
    Promise.resolve({ file: 'p', text: undefined, problem: undefined, autoApply: false }),
  approved: () => undefined,
};

async function bench(disk: MemoryDisk = createMemoryDisk(), atMs?: number) {
  const store = openMemoryStore(disk);
  if (!store.ok) throw new Error('no store');
  const system = createFakeSystem(atMs);
  const made = await createControl({ store: store.value, system });
  if (!made.ok) throw new Error('no control');
  disks.push(made.value);
  return { control: made.value, system, disk, tools: { control: made.value, ports } };
}

function person(authority: Principal['authority'], id: string, ...selectors: string[]): Principal {
  const kind = authority === 'app' ? 'app' : authority === 'local' ? 'operator' : 'user';
  return { authority, id, kind, display: id, selectors };
}

function by(subject: Principal, channel: 'admin' | 'control-socket' = 'admin'): Requester {
  const caller: Caller = { subject };
  return { actor: { principal: `${subject.authority}:${subject.id}`, channel }, caller };
}

const owner = by(person('local', 'uid:0'), 'control-socket');
const alice = by(person('tailnet', 'alice', 'alice@example.com'));
const aliceAgain = by(person('jwt', 'x#a', 'Alice@example.com'));
const bob = by(person('tailnet', 'bob', 'bob@example.com'));
const agent = by(person('app', 'agent', 'tag:agent'));

const admins = `{"src": ["alice@example.com", "tag:agent"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/admin": [{"tools": ["policy.*"]}]}}`;
const policyFor = (src: string, models = 'instant'): string =>
  `{"tagOwners": {"tag:agent": [], "tag:gateway": []}, "grants": [${admins}, {"src": ["${src}"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [{"models": ["${models}"]}]}}]}`;
const one = policyFor('dan@example.com');

type Tools = Awaited<ReturnType<typeof bench>>['tools'];

const base = ({ control }: Tools): string => policyDigest(control.snapshot().policy);

async function put(tools: Tools, text: string, who = owner): Promise<string> {
  const done = await applyPolicyText(tools, { what: { text, base: base(tools) } }, who);
  return done.ok ? 'done' : done.error.code;
}

async function planned(tools: Tools, text: string, who: Requester) {
  const done = await planPolicy(tools, { text, base: base(tools) }, who);
  if (!done.ok) throw new Error(done.error.message);
  const { assessment, plan } = done.value;
  const codes = assessment.findings
    .filter(({ severity }) => severity !== 'note')
    .map(({ code }) => code);
  return { verdict: assessment.verdict, codes: [...new Set(codes)], id: plan?.id ?? '' };
}

describe('a plan', () => {
  test('by a person for others may be applied; by an agent it waits', async () => {
    const { tools } = await bench();
    await put(tools, one);
    const more = policyFor('dan@example.com', 'local/**');
    expect(await planned(tools, more, alice)).toMatchObject({ verdict: 'apply', codes: [] });
    expect(await planned(tools, more, agent)).toMatchObject({
      verdict: 'approval',
      codes: ['new_access', 'lost_access'],
    });
  });
  test('that gives its author more waits', async () => {
    const { tools } = await bench();
    await put(tools, one);
    const own = await planned(tools, policyFor('alice@example.com'), alice);
    expect(own).toMatchObject({ verdict: 'approval', codes: ['self_escalation'] });
  });
  test('with budgets that nobody defined, or without anyone to administer, waits', async () => {
    const { tools } = await bench();
    await put(tools, one);
    const unbound = one.replace('"models"', '"budgets": ["lab", "moon"], "models"');
    expect(await planned(tools, unbound, owner)).toMatchObject({ codes: ['undefined_name'] });
    expect(await planned(tools, '{"grants": []}', owner)).toMatchObject({
      verdict: 'approval',
      codes: ['cap_retention'],
    });
  });
  test('that locks its author out is refused and not kept', async () => {
    const { tools, control } = await bench();
    await put(tools, one);
    const without = one.replace('"alice@example.com", ', '');
    expect(await planned(tools, without, alice)).toEqual({
      verdict: 'refused',
      codes: ['cap_retention'],
      id: '',
    });
    expect(control.snapshot().policy.plans).toEqual([]);
  });
  test('is approved by another person only, under whatever authority', async () => {
    const { tools } = await bench();
    await put(tools, one);
    const { id } = await planned(tools, policyFor('*'), alice);
    const approve = async (who: Requester): Promise<string> => {
      const done = await approvePolicyPlan(tools, id, who);
      return done.ok ? 'done' : done.error.code;
    };
    expect(await approve(alice)).toBe('access_denied');
    expect(await approve(aliceAgain)).toBe('access_denied');
    expect(await approve(agent)).toBe('access_denied');
    expect(await put(tools, policyFor('*'), alice)).toBe('access_denied');
    expect(await approve(bob)).toBe('done');
    expect(await put(tools, policyFor('*'), alice)).toBe('done');
  });
  test('keeps findings with control characters as one line each', async () => {
    const { tools, control } = await bench();
    await put(tools, one);
    await planned(tools, policyFor('*', 'a\\u001b[2J\\nb'), owner);
    const [plan] = control.snapshot().policy.plans;
    expect(plan?.summary.join('')).not.toMatch(/\p{Cc}/u);
  });
});

/** A clock that rings by hand. */
function handClock() {
  const rings: { ms: number; ring: () => void }[] = [];
  return {
    rings,
    after: (ms: number, ring: () => void) => {
      const entry = { ms, ring };
      rings.push(entry);
      return { clear: () => rings.splice(rings.indexOf(entry), 1) };
    },
  };
}

describe('the end of a trial', () => {
  const trial = { confirmWithinMs: 5_000 };
  async function onTrial(disk?: MemoryDisk, atMs?: number) {
    const made = await bench(disk, atMs);
    const clock = handClock();
    const told: string[] = [];
    const ending = new AbortController();
    const system: Requester = { actor: { principal: 'local:uid:0', channel: 'system' } };
    const watch = watchTrial(
      {
        control: made.control,
        clock,
        by: system,
        onRolledBack: (digest) => told.push(`back ${digest.length}`),
        onAlarm: (message) => told.push(message),
      },
      ending.signal,
    );
    const ring = async (): Promise<void> => {
      clock.rings.at(-1)?.ring();
      // The store answers a few turns later.
      for (let i = 0; i < 50; i += 1) await Promise.resolve();
      await new Promise((resolve) => {
        setTimeout(resolve, 5);
      });
    };
    return { ...made, clock, told, watch, ring, ending };
  }

  test('comes at the deadline and not before, even where the clock was set back', async () => {
    const { tools, control, clock, system, told, ring } = await onTrial();
    await put(tools, one);
    const text = policyFor('eve@example.com');
    await applyPolicyText(tools, { what: { text, base: base(tools) }, ...trial }, owner);
    expect(clock.rings.map(({ ms }) => ms)).toEqual([5_000]);
    system.atMs += 4_000;
    await ring();
    expect(told).toEqual([]);
    expect(clock.rings.at(-1)?.ms).toBe(1_000);
    system.atMs += 1_000;
    await ring();
    expect(told).toEqual(['back 64']);
    expect(control.snapshot().policy.versions[0]?.text).toBe(one);
  });

  test('that the store does not take alarms, is tried again, and the alarm ends with it', async () => {
    const { tools, control, disk, system, told, ring, watch } = await onTrial();
    await applyPolicyText(tools, { what: { text: one, base: 'none' }, ...trial }, owner);
    system.atMs += 5_000;
    disk.rowsMax = disk.rows.length;
    await ring();
    await ring();
    expect(watch.alarm()).toContain('could not be rolled back');
    expect(told).toHaveLength(1);
    disk.rowsMax = Infinity;
    await ring();
    expect([watch.alarm(), control.snapshot().policy.versions]).toEqual([undefined, []]);
  });

  test('that came while nothing ran is made up for before anything is served', async () => {
    const first = await onTrial();
    await applyPolicyText(first.tools, { what: { text: one, base: 'none' }, ...trial }, owner);
    first.ending.abort();
    await disks.pop()?.close();
    const later = await onTrial(first.disk, first.system.atMs + 6_000);
    expect(base(later.tools)).not.toBe('none');
    await later.watch.settle();
    expect(base(later.tools)).toBe('none');
  });
});
