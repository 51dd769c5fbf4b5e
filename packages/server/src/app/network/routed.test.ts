import { err, ok } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import { describe, expect, test } from 'vitest';
import type { Device, NetworkEngine } from '../../control/engine/index.ts';
import { createRoutedWhois } from './routed.ts';

const device = (more: Partial<Device>): Device => ({
  id: '1',
  name: 'laptop',
  hostname: 'laptop',
  addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
  user: 'alice@example.com',
  tags: [],
  online: true,
  authorized: true,
  ephemeral: false,
  nodeKey: '',
  machineKey: '',
  os: '',
  clientVersion: '',
  createdAtMs: 0,
  enabledRoutes: [],
  advertisedRoutes: [],
  ...more,
});

function bench(...devices: readonly Device[]) {
  const state = { atMs: 0, isDown: false, asked: 0, devices };
  const engine: Partial<NetworkEngine> = {
    listDevices: () => {
      state.asked += 1;
      return Promise.resolve(
        state.isDown ? err(refusal('upstream_unavailable', 'away')) : ok(state.devices),
      );
    },
  };
  const whois = createRoutedWhois({
    // Only the list is asked for here.
    engine: () => engine as NetworkEngine,
    nowMs: () => 1_000_000 + state.atMs,
    monotonicMs: () => state.atMs,
  });
  return { state, whois };
}

describe('who calls from behind a subnet router', () => {
  test('is whoever the engine gave the address to, in both families', async () => {
    const { whois } = bench(
      device({}),
      device({ id: '2', addresses: ['100.64.0.2'], tags: ['tag:ci'], name: 'ci' }),
    );
    for (const address of [
      '100.64.0.1:5000',
      '[fd7a:115c:a1e0::1]:5000',
      '[::ffff:100.64.0.1]:1',
    ]) {
      expect(await whois(address)).toMatchObject({
        ok: true,
        value: { principal: { kind: 'user', id: 'alice@example.com' } },
      });
    }
    expect(await whois('100.64.0.2:1')).toMatchObject({
      value: { principal: { kind: 'node', id: 'node:2', selectors: ['tag:ci'] } },
    });
    expect(await whois('10.0.1.10:1')).toEqual(ok(undefined));
  });

  test('is nobody while the machine waits, or once its key has ended', async () => {
    const { whois, state } = bench(
      device({ authorized: false }),
      device({ addresses: ['100.64.0.3'], expiresAtMs: 1_000_500 }),
    );
    expect(await whois('100.64.0.1:1')).toEqual(ok(undefined));
    expect(await whois('100.64.0.3:1')).toMatchObject({ value: { principal: {} } });
    state.atMs = 500;
    expect(await whois('100.64.0.3:1')).toEqual(ok(undefined));
  });

  test('is one question for all who ask within two seconds, and then another', async () => {
    const { whois, state } = bench(device({}));
    await Promise.all(Array.from({ length: 50 }, async () => whois('100.64.0.1:1')));
    expect(state.asked).toBe(1);
    state.devices = [];
    state.atMs = 2_000;
    expect(await whois('100.64.0.1:1')).toEqual(ok(undefined));
    expect(state.asked).toBe(2);
  });

  test('is not known while the engine is away, which is 503 and never "nobody"', async () => {
    const { whois, state } = bench(device({}));
    await whois('100.64.0.1:1');
    state.isDown = true;
    state.atMs = 2_000;
    expect(await whois('100.64.0.1:1')).toMatchObject({
      ok: false,
      error: { code: 'state_unavailable', retryAfterMs: 1_000 },
    });
    state.isDown = false;
    state.atMs = 3_000;
    expect(await whois('100.64.0.1:1')).toMatchObject({ ok: true, value: { principal: {} } });
  });
});
