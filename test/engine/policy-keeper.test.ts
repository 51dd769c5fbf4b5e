import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tailscaleEngine } from '../../packages/server/src/adapters/engine-tailscale/index.ts';
import { PolicyKeeper } from '../../packages/server/src/control/engine/index.ts';
import type { Control } from '../../packages/server/src/control/index.ts';
import { createControl } from '../../packages/server/src/control/index.ts';
import { operator } from '../coordination/rig.ts';
import { createMemoryDisk, openMemoryStore } from '../fakes/store-memory.ts';
import { createFakeSystem } from '../fakes/system.ts';
import type { TailscaleApi } from '../fakes/tailscale-api.ts';
import { startTailscaleApi } from '../fakes/tailscale-api.ts';
import { value } from './contract.ts';
import { secretOf, surroundings } from './surroundings.ts';

const policyOf = (port: number): string =>
  `{"tagOwners": {"tag:a": []}, "grants": [{"src": ["tag:a"], "dst": ["tag:a"], "ip": ["tcp:${port}"]}]}`;

let api: TailscaleApi;
let control: Control;
let around: ReturnType<typeof surroundings>;
let keeper: PolicyKeeper;
let alarms: string[];
let kept: string | undefined;

beforeEach(async () => {
  api = await startTailscaleApi();
  around = surroundings();
  alarms = [];
  kept = undefined;
  const store = openMemoryStore(createMemoryDisk());
  if (!store.ok) throw new Error('no store');
  control = value(await createControl({ store: store.value, system: createFakeSystem() }));
  keeper = keeperOf();
});
afterEach(async () => {
  keeper.close();
  await around.close();
  await api.close();
  await control.close();
});

function keeperOf(): PolicyKeeper {
  return new PolicyKeeper({
    engine: tailscaleEngine({
      ...around,
      wait: () => Promise.resolve(),
      base: new URL(api.url),
      credential: { kind: 'key', key: secretOf(api.key) },
    }),
    control,
    clock: {
      after: (ms, callback) => {
        const timer = setTimeout(callback, ms / 20);
        return { clear: () => clearTimeout(timer) };
      },
    },
    remembered: {
      read: () => Promise.resolve(kept),
      write: (etag) => {
        kept = etag;
        return Promise.resolve();
      },
    },
    onAlarm: (problem) => alarms.push(problem),
  });
}

async function apply(text: string): Promise<void> {
  const base = control.snapshot().policy.versions[0]?.digest ?? 'none';
  const digest = control.system.sha256Hex(text);
  value(await control.execute({ kind: 'policy.apply', text, digest, base, risk: 'low' }, operator));
}

async function rollBack(): Promise<void> {
  const expected = control.snapshot().policy.versions[0]?.digest ?? '';
  const command = { kind: 'policy.rollback', cause: 'asked', expected } as const;
  value(await control.execute(command, operator));
}

async function there(): Promise<string> {
  const headers = { authorization: `Bearer ${api.key}`, accept: 'application/hujson' };
  return (await fetch(`${api.url}/api/v2/tailnet/-/acl`, { headers })).text();
}

describe('the policy at the engine', () => {
  test('is left alone until one is applied here; then it is that one, also after a rollback', async () => {
    keeper.begin();
    await expect.poll(() => keeper.sync().state).toBe('none');
    await apply(policyOf(1));
    await expect.poll(there).toBe(policyOf(1));
    await apply(policyOf(2));
    await expect.poll(there).toBe(policyOf(2));
    await rollBack();
    await expect.poll(there).toBe(policyOf(1));
    expect(keeper.sync().state).toBe('same');
    expect(alarms).toEqual([]);
  });

  test('that somebody else changed is not overwritten, is said, and goes only when it is named', async () => {
    keeper.begin();
    await apply(policyOf(1));
    await expect.poll(there).toBe(policyOf(1));
    api.edit(policyOf(666));
    await keeper.push();
    expect(keeper.sync().state).toBe('changed');
    expect(keeper.alarm()).toMatch(/somebody else changed it.*policy apply --over [0-9a-f]{64}/s);
    expect(alarms).toHaveLength(1);
    expect(await keeper.admits(policyOf(2), undefined)).toMatchObject({
      ok: false,
      error: { code: 'conflict', param: 'engine_etag' },
    });
    expect(await there()).toBe(policyOf(666));
    const { etag } = keeper.sync() as { etag: string };
    value(await keeper.admits(policyOf(2), etag));
    await apply(policyOf(2));
    await expect.poll(there).toBe(policyOf(2));
    expect(keeper.alarm()).toBeUndefined();
  });

  test('is caught up with when the engine comes back', async () => {
    keeper.begin();
    await apply(policyOf(1));
    await expect.poll(there).toBe(policyOf(1));
    await api.close();
    await apply(policyOf(2));
    await expect.poll(() => keeper.sync().state).toBe('unknown');
    expect(keeper.sync()).toMatchObject({ problem: expect.stringContaining('cannot be reached') });
    await api.listen();
    await expect.poll(there, { timeout: 5_000 }).toBe(policyOf(2));
    expect(keeper.sync().state).toBe('same');
  });

  test('is known as ours after a restart, whatever happened here meanwhile', async () => {
    keeper.begin();
    await apply(policyOf(1));
    await apply(policyOf(2));
    await expect.poll(there).toBe(policyOf(2));
    keeper.close();
    await rollBack();
    keeper = keeperOf();
    keeper.begin();
    await expect.poll(there).toBe(policyOf(1));
    expect(alarms).toEqual([]);
  });

  test('refuses a text that the engine refuses, in its words', async () => {
    const refused = await keeper.admits('{"grants": [], "nothing": 1}', undefined);
    expect(refused).toMatchObject({
      ok: false,
      error: { code: 'conflict' },
    });
    await apply(policyOf(1));
    await keeper.push();
    expect(await keeper.admits('{"grants": [], "nothing": 1}', undefined)).toMatchObject({
      ok: false,
      error: { code: 'invalid_request', message: expect.stringContaining('unknown field') },
    });
  });
});
