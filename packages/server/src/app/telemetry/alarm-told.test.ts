import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { defaultConfig } from '@postern/core/contract/defaults';
import { afterEach, expect, test } from 'vitest';
import { Alarm } from './alarm.ts';

/** What a receiver hears of an alert, from its begin to its end. */

let stateDir = '';
afterEach(() => rm(stateDir, { recursive: true, force: true }));

async function world() {
  stateDir = await mkdtemp(path.join(tmpdir(), 'postern-alarm-'));
  await mkdir(path.join(stateDir, 'backups'));
  const heard: string[] = [];
  const state = {
    nowMs: Date.parse('2026-03-01T10:00:00Z'),
    health: { kind: 'good' } as { kind: string; why?: string },
    nodes: new Map<string, { name: string; keyExpiresAtMs: number }>(),
    isAway: false,
    /** Waits of the courier, which pass at once while it is away. */
    tries: 0,
  };
  const alerts = {
    ...defaultConfig.alerts,
    webhooks: [{ url: 'http://127.0.0.1:1/hook', secret: { env: 'HOOK' } }],
  };
  const config = { ...defaultConfig, alerts };
  const view = {
    nowMs: () => state.nowMs,
    startedAtMs: state.nowMs,
    stateDir,
    env: { HOOK: 'secret' },
    audit: {
      log: {
        get health() {
          return state.health;
        },
      },
    },
    deployment: () => ({ config, view: () => ({ money: undefined }) }),
    snapshot: () => ({ network: { nodesById: state.nodes } }),
    clock: {
      after: (_ms: number, callback: () => void) => {
        if (state.isAway && state.tries > 0) setImmediate(callback);
        return { clear: () => undefined };
      },
    },
    egress: (request: { body: string }) => {
      if (state.isAway) {
        state.tries += 1;
        return Promise.resolve({ ok: false, error: { message: 'nobody answers' } });
      }
      const { alerts: told } = JSON.parse(request.body) as {
        alerts: { status: string; condition: string }[];
      };
      heard.push(...told.map(({ status, condition }) => `${status} ${condition}`));
      return Promise.resolve({
        ok: true,
        value: {
          status: 200,
          readAll: () => Promise.resolve({ ok: true, value: new Uint8Array() }),
          cancel: () => undefined,
        },
      });
    },
    logger: { warn: () => undefined, error: () => undefined },
  };
  // The alarm looks at these few members of what it is given.
  const alarm = new Alarm(view as unknown as ConstructorParameters<typeof Alarm>[0]);
  alarm.configure(alerts);
  return {
    state,
    hears: async () => {
      await alarm.look();
      await new Promise((resolve) => {
        setTimeout(resolve, 30);
      });
      return heard.splice(0);
    },
  };
}

test('the end of an alert is told, also where the clock went back meanwhile', async () => {
  const { state, hears } = await world();
  state.health = { kind: 'full', why: 'no space' };
  expect(await hears()).toEqual(['firing audit']);
  state.nowMs -= 60_000;
  state.health = { kind: 'good' };
  expect(await hears()).toEqual(['resolved audit']);
});

test('the key of a machine that ran out is no better than one that will', async () => {
  const { state, hears } = await world();
  state.nodes.set('1', { name: 'gpu', keyExpiresAtMs: state.nowMs + 3_600_000 });
  expect(await hears()).toEqual(['firing node-key']);
  state.nowMs += 3_600_001;
  expect(await hears()).toEqual([]);
  state.nodes.delete('1');
  expect(await hears()).toEqual(['resolved node-key']);
});

test('a receiver that was away until a delivery was given up hears what goes on once it is back', async () => {
  const { state, hears } = await world();
  state.isAway = true;
  state.health = { kind: 'full', why: 'no space' };
  expect(await hears()).toEqual([]);
  expect(state.tries).toBe(6);
  state.isAway = false;
  state.nowMs += 30_000;
  expect(await hears()).toEqual(['firing audit']);
  state.nowMs += 30_000;
  expect(await hears()).toEqual([]);
});
