import { createHash, randomBytes } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { err, ok, Secret } from '@postern/core/base';
import { parsePrefix } from '@postern/core/base/netip';
import type { InstanceClaim, Lease } from '@postern/core/registry';
import { afterEach, describe, expect, test } from 'vitest';
import { createMemoryDisk, openMemoryStore } from '../../../../../test/fakes/store-memory.ts';
import type { Requester } from '../control.ts';
import { createControl } from '../control.ts';
import { createKey } from '../keys.ts';
import type { Role } from '../role.ts';
import type { StoreFailure } from '../store.ts';
import type { InstanceChange, LeaseStore } from './index.ts';
import { instanceText } from './instance-text.ts';
import { instanceView } from './instance-view.ts';
import { Registry } from './index.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const claim = (more: Partial<InstanceClaim> = {}): InstanceClaim => ({
  uuid: 'gpu-1',
  nodeType: 'instant',
  hostname: 'gpu-1',
  addresses: ['100.64.0.7'],
  port: 8_000,
  metadata: {},
  leaseMs: 5_000,
  ...more,
});

const owner: Requester = {
  actor: { principal: 'local:uid:1000', channel: 'control-socket' },
};

class Disk implements LeaseStore {
  readonly rows = new Map<string, number>();
  writes = 0;
  failure: StoreFailure | undefined;

  loadLeases(): Promise<Result<readonly Lease[], StoreFailure>> {
    const rows = [...this.rows].map(([uuid, renewedAtMs]) => ({ uuid, renewedAtMs }));
    return Promise.resolve(ok(rows));
  }

  async writeLeases({ renewed, gone }: Parameters<LeaseStore['writeLeases']>[0]) {
    await new Promise((done) => setImmediate(done));
    if (this.failure !== undefined) return err(this.failure);
    this.writes += 1;
    for (const { uuid, renewedAtMs } of renewed) this.rows.set(uuid, renewedAtMs);
    for (const uuid of gone) this.rows.delete(uuid);
    return ok(undefined);
  }
}

/** A registry whose clock only the test turns. */
async function setUp(memory = createMemoryDisk(), disk = new Disk(), startMs = 1_000_000) {
  const clock = { nowMs: startMs };
  let role: Role = { kind: 'alone' };
  const store = openMemoryStore(memory);
  if (!store.ok) throw new Error(store.error.message);
  let ids = startMs;
  const made = await createControl({
    store: store.value,
    system: {
      nowMs: () => clock.nowMs,
      newId: () => `id${(ids += 1)}`,
      sha256Hex: (text) => createHash('sha256').update(text).digest('hex'),
      randomBytes: (count) => new Uint8Array(randomBytes(count)),
    },
    role: () => role,
  });
  if (!made.ok) throw new Error(made.error.message);
  const control = made.value;
  const network = parsePrefix('100.64.0.0/10');
  if (!network.ok) throw new Error(network.error);
  const timers: (() => void)[] = [];
  const faults: unknown[] = [];
  const registry = await Registry.open({
    control,
    leases: disk,
    groupKey: (type, epoch) => Promise.resolve(ok(new Secret(`${type}#${epoch}`))),
    rules: () => ({
      rotation: 'leave',
      networks: [network.value],
      allowedApps: ['aa'],
      tags: ['tag:node'],
      health: new Map(),
    }),
    engine: () => undefined,
    after: (_ms, run) => {
      timers.push(run);
      return { clear: () => undefined };
    },
    onFault: (fault) => faults.push(fault),
  });
  const close = async (): Promise<void> => {
    await registry.close();
    await control.close();
  };
  closers.push(close);
  const sweep = async (): Promise<void> => {
    timers.shift()?.();
    await expect.poll(() => timers.length).toBe(1);
  };
  const found = (type = 'instant'): string[] =>
    registry.discover(type, { limit: 100 }).members.map(({ uuid }) => uuid);
  const become = (next: Role): void => {
    role = next;
  };
  const key = async (
    name: string,
    join: readonly string[] | undefined,
    admin = false,
  ): Promise<Requester> => {
    const scope = { admin, ...(join === undefined ? {} : { join }) };
    const done = await createKey(control, { name, scope, boundTo: [] }, owner);
    if (!done.ok) throw new Error(done.error.message);
    const { id } = done.value.key;
    const subject = { authority: 'key', id, kind: 'key', display: name, selectors: [] } as const;
    const actor = { principal: `key:${id}`, channel: 'control' } as const;
    return { actor, scope, caller: { subject, scope } };
  };
  const gpu = await key(`gpu${startMs}`, ['instant']);
  return { clock, control, registry, key, gpu, disk, memory, sweep, found, faults, close, become };
}

describe('the registry', () => {
  test('shows who is there for as long as they are heard of, and not a millisecond longer', async () => {
    const { registry, clock, found, sweep, gpu } = await setUp();
    expect(await registry.register(claim(), gpu)).toMatchObject({
      value: { isNew: true, leaseEndsAtMs: 1_005_000 },
    });
    clock.nowMs += 4_999;
    expect(found()).toEqual(['gpu-1']);
    expect(await registry.heartbeat('gpu-1', gpu)).toMatchObject({ ok: true });
    clock.nowMs += 4_999;
    expect(found()).toEqual(['gpu-1']);
    clock.nowMs += 1;
    expect(found()).toEqual([]);
    expect(await registry.heartbeat('gpu-1', gpu)).toMatchObject({ error: { code: 'not_found' } });
    const changes: InstanceChange[] = [];
    registry.watch((more) => changes.push(...more), new AbortController().signal);
    await sweep();
    expect(changes).toMatchObject([{ kind: 'left', instance: { uuid: 'gpu-1' } }]);
    expect(registry.epoch('instant')).toBe(2);
    expect(await registry.register(claim(), gpu)).toMatchObject({ value: { isNew: true } });
  });

  test('takes over what the leader before it wrote: whom that one had given up stays gone', async () => {
    const { registry, clock, disk, become, sweep, found, gpu } = await setUp();
    await registry.register(claim({ uuid: 'alive' }), gpu);
    await registry.register(claim({ uuid: 'dead' }), gpu);
    become({ kind: 'follower', leader: 'other' });
    await sweep();
    clock.nowMs += 60_000;
    disk.rows.set('alive', clock.nowMs - 1_000);
    become({ kind: 'leader' });
    await sweep();
    expect(found()).toEqual(['alive']);
  });

  test('gives whoever was alive a whole lease after a restart, and leaves the dead dead', async () => {
    const first = await setUp();
    await first.registry.register(claim({ uuid: 'dead', leaseMs: 1_000 }), first.gpu);
    first.clock.nowMs += 2_000;
    await first.registry.register(claim(), first.gpu);
    await first.close();
    closers.length = 0;
    const second = await setUp(first.memory, first.disk, 2_000_000);
    expect(second.found()).toEqual(['gpu-1']);
    second.clock.nowMs += 4_999;
    expect(second.found()).toEqual(['gpu-1']);
    second.clock.nowMs += 1;
    expect(second.found()).toEqual([]);
    await second.sweep();
    expect(second.registry.types()).toEqual([]);
    await second.registry.close();
    expect([...second.disk.rows]).toEqual([]);
  });

  test('writes heartbeats that come together as one, and promises none that was not written', async () => {
    const { registry, disk, clock, found, gpu } = await setUp();
    for (const uuid of ['a', 'b', 'c']) await registry.register(claim({ uuid }), gpu);
    const before = disk.writes;
    clock.nowMs += 1_000;
    const beats = Array.from({ length: 90 }, (_, i) =>
      registry.heartbeat('abc'.charAt(i % 3), gpu),
    );
    expect((await Promise.all(beats)).every(({ ok: isOk }) => isOk)).toBe(true);
    expect(disk.writes - before).toBeLessThanOrEqual(2);
    disk.failure = { kind: 'unavailable', message: 'The disk is gone.' };
    clock.nowMs += 1_000;
    expect(await registry.heartbeat('a', gpu)).toMatchObject({
      error: { code: 'state_unavailable' },
    });
    clock.nowMs += 4_000;
    expect(found()).toEqual([]);
  });

  test('is written as it is shown, after everything that changes it', async () => {
    const { registry, clock, gpu } = await setUp();
    await registry.register(claim({ metadata: { gpu: '"l4"' } }), gpu);
    const versions = new Set<string>();
    const look = (): void => {
      const instance = registry.find('gpu-1');
      if (instance === undefined) throw new Error('gone');
      const shown = instanceView(instance, registry);
      expect(JSON.parse(instanceText(instance, registry))).toEqual(shown);
      versions.add(registry.version('instant'));
    };
    look();
    clock.nowMs += 1_000;
    await registry.heartbeat('gpu-1', gpu);
    look();
    for (const why of ['one "reason"', 'another']) {
      await registry.heartbeat('gpu-1', gpu, { state: 'failing', why });
      look();
    }
    await registry.register(claim({ hostname: 'other' }), gpu);
    look();
    expect(versions.size).toBe(5);
    const before = registry.version('instant');
    await registry.leave('gpu-1', gpu);
    expect(registry.version('instant')).not.toBe(before);
  });

  test('is used by who may: keys for joining their types, admitted apps, operators', async () => {
    const { registry, key, gpu } = await setUp();
    const [plain, admin] = [await key('plain', undefined), await key('admin', undefined, true)];
    const other = await key('other', ['*']);
    const code = async (of: InstanceClaim, by: Requester): Promise<string> => {
      const done = await registry.register(of, by);
      return done.ok ? 'ok' : done.error.code;
    };
    const app = (id: string): Requester => ({
      actor: { principal: `app:${id}`, channel: 'control' },
      caller: { subject: { authority: 'app', id, kind: 'app', display: id, selectors: [] } },
    });
    expect(await code(claim(), plain)).toBe('access_denied');
    expect(await code(claim({ nodeType: 'thinking' }), gpu)).toBe('access_denied');
    expect(await code(claim(), app('bb'))).toBe('access_denied');
    expect(await code(claim({ uuid: 'by-app' }), app('AA'))).toBe('ok');
    expect(await code(claim({ uuid: 'by-admin', nodeType: 'x' }), admin)).toBe('ok');
    expect(await code(claim(), gpu)).toBe('ok');
    expect(await code(claim(), other)).toBe('access_denied');
    expect(await registry.heartbeat('gpu-1', other)).toMatchObject({ ok: false });
    expect(await registry.leave('gpu-1', other)).toMatchObject({ ok: false });
    expect(await registry.leave('gpu-1', admin)).toMatchObject({
      ok: true,
    });
  });

  test.each(['127.0.0.1', '10.0.0.1', '100.128.0.1', '::1'])(
    'sends nobody to %s, which is in none of its networks',
    async (address) => {
      const { registry, gpu } = await setUp();
      expect(await registry.register(claim({ addresses: [address] }), gpu)).toMatchObject({
        error: { code: 'invalid_request', param: 'addresses' },
      });
    },
  );

  test('lists everything in pages, by type and id', async () => {
    const { registry, key } = await setUp();
    const any = await key('any', ['*']);
    for (const [nodeType, uuid] of [
      ['b', '1'],
      ['a', '3'],
      ['a', '2'],
      ['', '4'],
      ['b', '0'],
    ] as const) {
      await registry.register(claim({ nodeType, uuid }), any);
    }
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = registry.list({ limit: 2, after });
      seen.push(...page.members.map(({ nodeType, uuid }) => `${nodeType}/${uuid}`));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual(['/4', 'a/2', 'a/3', 'b/0', 'b/1']);
  });

  test('that only follows kills nobody, and takes no heartbeats', async () => {
    const { registry, clock, found, become, sweep, gpu } = await setUp();
    await registry.register(claim(), gpu);
    become({ kind: 'follower', leader: 'other' });
    clock.nowMs += 60_000;
    await sweep();
    expect(found()).toEqual(['gpu-1']);
    expect(await registry.heartbeat('gpu-1', gpu)).toMatchObject({
      error: { code: 'state_unavailable' },
    });
    become({ kind: 'leader' });
    await sweep();
    expect(found()).toEqual(['gpu-1']);
    clock.nowMs += 5_000;
    expect(found()).toEqual([]);
  });
});
