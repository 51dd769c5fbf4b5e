/** With Tailscale by its recorded API and an agent on the admin listener: the same finding, plan, approval and confirmation. */
import path from 'node:path';
import { present } from '@postern/core/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { startGateway } from '../conformance/gateway.ts';
import { cli } from '../e2e/process.ts';
import type { TailscaleApi } from '../fakes/tailscale-api.ts';
import { startTailscaleApi } from '../fakes/tailscale-api.ts';
import type { Agent } from './agent.ts';
import { connectAgent } from './agent.ts';
import {
  askModel,
  expectRecorded,
  personAt,
  runScenario,
  scenarioPolicyWithAgent,
} from './scenario.ts';

const golden = path.join(import.meta.dirname, 'transcript-tailscale.golden');

let api: TailscaleApi;
let net: TestGateway;
let agent: Agent | undefined;
let key = '';
const run = (...words: string[]) => cli(words, { stateDir: net.stateDir });

async function keyOfItsOwner(): Promise<string> {
  const answer = await fetch(`${api.url}/api/v2/tailnet/-/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${api.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ capabilities: { devices: { create: {} } } }),
  });
  const made: unknown = await answer.json();
  expect(made).toMatchObject({ key: expect.any(String) });
  return String(Reflect.get(Object(made), 'key'));
}

beforeAll(async () => {
  api = await startTailscaleApi();
  net = await startGateway({
    config: {
      engine: { kind: 'tailscale', join: 'off', tailscale: { url: api.url } },
      identities: {
        map: [
          { key: 'alice-key', as: ['alice@example.com'] },
          { key: 'agent', as: ['tag:agent'] },
        ],
      },
    },
    env: { TS_API_KEY: api.key },
    policy: scenarioPolicyWithAgent,
  });
  // A person's machine joins by a login of its owner, which no key of ours stands for.
  api.join(await keyOfItsOwner(), { hostname: 'alice-laptop' });
  const made = await run('network', 'key', 'create', '--tags', 'tag:gateway');
  expect(made.out, made.err).not.toBe('');
  api.join(made.out.trim(), { hostname: 'box' });
  key = await net.key('alice-key');
  agent = await connectAgent(`http://${net.address('admin')}/mcp`, {
    who: await net.key('agent', { admin: true }),
    person: () => 'no',
  });
}, 60_000);
afterAll(async () => {
  await agent?.close();
  await net.stop();
  await api.close();
});

test('an agent mends what a laptop cannot do, once a person agreed', {
  timeout: 60_000,
}, async () => {
  const steps = await runScenario({
    call: (name, args) => present(agent, 'an agent').call(name, args),
    person: personAt(run),
    laptop: () => askModel(net.url, key),
  });
  expectRecorded(steps, golden);
  // The service was asked to check the policy before it got it, and got it once.
  expect(api.seen.filter((line) => line === 'POST /api/v2/tailnet/-/acl')).toHaveLength(2);
});
