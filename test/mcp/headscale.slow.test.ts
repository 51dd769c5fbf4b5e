/** With a real Headscale and an agent on the admin listener: the same finding, plan, approval and confirmation. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { startGateway } from '../conformance/gateway.ts';
import { cli } from '../e2e/process.ts';
import { HeadscaleServer, missingHeadscale } from '../engine/headscale-server.ts';
import { Machines } from '../engine/surroundings.ts';
import type { Agent } from './agent.ts';
import { connectAgent } from './agent.ts';
import {
  askModel,
  expectRecorded,
  personAt,
  runScenario,
  scenarioPolicyWithAgent,
} from './scenario.ts';

const golden = path.join(import.meta.dirname, 'transcript-headscale.golden');
const missing = await missingHeadscale();
const title =
  missing === undefined
    ? 'an agent, with Headscale'
    : `an agent, with Headscale (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(title, () => {
  let server: HeadscaleServer;
  let machines: Machines;
  let net: TestGateway;
  let agent: Agent;
  let key = '';
  const run = (...words: string[]) => cli(words, { stateDir: net.stateDir });

  beforeAll(async () => {
    server = await HeadscaleServer.start();
    for (const name of ['alice', 'bob']) {
      await server.command('users', 'create', name, '-e', `${name}@example.com`);
    }
    net = await startGateway({
      config: {
        engine: { kind: 'headscale', join: 'off', headscale: { url: server.url } },
        identities: {
          map: [
            { key: 'alice-key', as: ['alice@example.com'] },
            { key: 'agent', as: ['tag:agent'] },
          ],
        },
      },
      env: { HEADSCALE_API_KEY: await server.apiKey() },
      policy: scenarioPolicyWithAgent,
    });
    machines = new Machines(server.url);
    for (const [name, ...words] of [
      ['alice-laptop', '--user', 'alice@example.com'],
      ['box', '--tags', 'tag:gateway'],
    ] as const) {
      const made = await run('network', 'key', 'create', ...words);
      expect(made.out, made.err).not.toBe('');
      await machines.join(made.out.trim(), { hostname: name });
    }
    key = await net.key('alice-key');
    const own = await net.key('agent', { admin: true });
    agent = await connectAgent(`http://${net.address('admin')}/mcp`, {
      who: own,
      person: () => 'no',
    });
  }, 120_000);
  afterAll(async () => {
    await agent.close();
    machines.close();
    await net.stop();
    await server.stop();
  });

  test('mends what a laptop cannot do, once a person agreed', { timeout: 60_000 }, async () => {
    const steps = await runScenario({
      call: agent.call,
      person: personAt(run),
      laptop: () => askModel(net.url, key),
    });
    expectRecorded(steps, golden);
    // What is in force here is what Headscale itself says that it has.
    const theirs = await server.command('policy', 'get');
    expect(theirs).toContain('"alice@example.com"]');
    const shown = JSON.parse((await run('policy', 'show', '--json')).out);
    expect(shown).toMatchObject({ version: { number: 2 }, trial_until: null });
    expect(theirs.trimEnd()).toContain(String(shown.text).trimEnd());
  });
});
