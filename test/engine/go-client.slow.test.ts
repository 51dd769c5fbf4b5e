import { describe, expect, test } from 'vitest';
import { tailscaleEngine } from '../../packages/server/src/adapters/engine-tailscale/index.ts';
import { startTailscaleApi } from '../fakes/tailscale-api.ts';
import { startApi } from './api-server.ts';
import { value } from './contract.ts';
import type { Step } from './go-client/go-client.ts';
import { drive, goClient } from './go-client/go-client.ts';
import { secretOf, surroundings } from './surroundings.ts';

const built = await goClient();
const title = built.found
  ? 'the public Go client of the API v2'
  : `the public Go client (skipped: ${built.why})`;
const program = built.found ? built.program : '';
const stepsMin = 13;
const policy = `{"tagOwners": {"tag:ci": [], "tag:gpu": []},
  "grants": [{"src": ["tag:ci"], "dst": ["tag:gpu"], "ip": ["tcp:22"]}]}
`;

function judge(steps: readonly Step[]): void {
  expect(steps.filter(({ pass }) => !pass)).toEqual([]);
  expect(steps.length).toBeGreaterThanOrEqual(stepsMin);
}

describe.skipIf(!built.found)(title, () => {
  test('drives the API of the embedded engine', async () => {
    const api = await startApi();
    await api.edit(policy);
    await api.join(await api.rig.preAuthKey(), { hostname: 'one', routes: ['10.9.0.0/24'] });
    const { url, adminKey: key } = api;
    const steps = await drive(program, { url, key, settings: 'fixed' });
    await api.close();
    judge(steps);
  });

  test('drives the server in the recorded shape of Tailscale', async () => {
    const api = await startTailscaleApi();
    api.edit(policy);
    const around = surroundings();
    const credential = { kind: 'key', key: secretOf(api.key) } as const;
    const engine = tailscaleEngine({ ...around, base: new URL(api.url), credential });
    const tags = ['tag:ci'];
    const base = { reusable: false, ephemeral: false, preauthorized: true, lifeMs: 60_000 };
    const { key } = value(await engine.createAuthKey({ ...base, tags }));
    api.join(key.reveal(), { hostname: 'one', routes: ['10.9.0.0/24'] });
    const steps = await drive(program, { url: api.url, key: api.key, settings: 'writable' });
    await around.close();
    await api.close();
    judge(steps);
  });
});
