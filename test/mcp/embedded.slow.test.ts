/** With the embedded engine and `postern mcp` on pipes: an agent mends what a laptop cannot do, and a person lets it. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { startGateway, waitFor } from '../conformance/gateway.ts';
import { cli } from '../e2e/process.ts';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';
import { freePort } from '../fakes/free-port.ts';
import type { Step } from './scenario.ts';
import { askModel, expectRecorded, runScenario, scenarioPolicy } from './scenario.ts';

const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
const golden = path.join(import.meta.dirname, 'transcript-embedded.golden');

let net: TestGateway;
let key = '';
const machines: ControlClient[] = [];
const run = (...words: string[]) => cli(words, { stateDir: net.stateDir });

async function join(name: string, url: string, ...words: string[]): Promise<void> {
  const made = await run('network', 'key', 'create', ...words);
  expect(made.err === '' || made.code === 0, made.err).toBe(true);
  const client = await ControlClient.connect({ url, machine: newMachine(name) });
  machines.push(client);
  expect(await client.register({ authKey: made.out.trim() })).toMatchObject({ Error: '' });
  client.follow();
  await client.update({ endpoints: ['192.0.2.1:41641'] });
}

beforeAll(async () => {
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  net = await startGateway({
    config: {
      engine: { url, address, stunAddress: 'off', derpAddress: 'off' },
      identities: { map: [{ key: 'alice-key', as: ['alice@example.com'] }] },
    },
    policy: scenarioPolicy(),
  });
  key = await net.key('alice-key');
  await join('alice-laptop', url, '--user', 'alice@example.com');
  await join('box', url, '--tags', 'tag:gateway');
  await join('bob-laptop', url, '--user', 'bob@example.com');
}, 60_000);
afterAll(async () => {
  for (const machine of machines) machine.close();
  await net.stop();
});

async function agent(mode: 'legacy' | { readonly pin: string }): Promise<Client> {
  const client = new Client(
    { name: 'recorded-agent', version: '1.0.0' },
    { versionNegotiation: { mode }, capabilities: { elicitation: { form: {} } } },
  );
  client.setRequestHandler('elicitation/create', () => ({ action: 'decline' }));
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [main, 'mcp', '--state', net.stateDir],
      stderr: 'pipe',
    }),
  );
  return client;
}

describe('an agent over pipes', () => {
  test('mends what a laptop cannot do, once a person agreed', async () => {
    const client = await agent({ pin: '2026-07-28' });
    const steps: readonly Step[] = await runScenario({
      call: async (name, args) => {
        const raw = await client.callTool({ name, arguments: args });
        return { raw, value: raw.structuredContent, isError: raw.isError === true };
      },
      person: async (...words) => {
        const { code, out, err } = await run(...words);
        expect({ code, err }).toMatchObject({ code: 0 });
        return out;
      },
      laptop: () => askModel(net.url, key),
    });
    await client.close();
    expectRecorded(steps, golden);
    const shown = JSON.parse((await run('policy', 'show', '--json')).out);
    expect(shown).toMatchObject({ version: { number: 2, note: 'by an agent' }, trial_until: null });
    expect(shown.text).toContain('// Who calls models.');
  }, 60_000);

  test('of the older era is asked through the same pipe, and its key waits in a file of the owner', async () => {
    const client = await agent('legacy');
    const asked: string[] = [];
    client.setRequestHandler('elicitation/create', ({ params }) => {
      asked.push(params.message);
      return { action: 'accept', content: { confirm: true } };
    });
    const made = await client.callTool({
      name: 'generate_auth_key',
      arguments: { tags: ['tag:gateway'] },
    });
    expect(made.isError ?? false, JSON.stringify(made.structuredContent)).toBe(false);
    expect(asked).toHaveLength(1);
    const { secret } = made.structuredContent as {
      secret: { how: string; path: string; command: string };
    };
    expect(secret).toMatchObject({ how: 'file', path: expect.stringContaining(net.stateDir) });
    expect(statSync(secret.path).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(secret.path)).mode & 0o777).toBe(0o700);
    const text = readFileSync(secret.path, 'utf8').trim();
    expect(text).toMatch(/^pstauth-/);
    expect(JSON.stringify([made, net.log])).not.toContain(text);
    const file = path.join(net.stateDir, 'audit', '00000000000000000001.log');
    const log = await waitFor(() => {
      const records = readFileSync(file, 'utf8');
      return records.includes('"approved_by":"elicitation"') ? records : undefined;
    });
    expect(log).not.toContain(text);
    await client.close();
  });

  test('only looks where it was told to', async () => {
    const client = new Client({ name: 'a', version: '1' });
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [main, 'mcp', '--read-only', '--state', net.stateDir],
      }),
    );
    const { tools } = await client.listTools();
    expect(tools.every(({ annotations }) => annotations?.readOnlyHint)).toBe(true);
    await expect(
      client.callTool({ name: 'rollback_policy_change', arguments: { digest: 'a'.repeat(64) } }),
    ).rejects.toMatchObject({ code: -32_602 });
    await client.close();
  });

  test('is reached by nobody but the owner: the socket has no other door', () => {
    const socket = path.join(net.stateDir, 'run', 'control.sock');
    expect(existsSync(socket)).toBe(true);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  test('says what is wrong where no Postern runs, and ends with its input', async () => {
    const client = new Client({ name: 'a', version: '1' });
    await client.connect(
      new StdioClientTransport({
        command: process.execPath,
        args: [main, 'mcp', '--state', path.join(net.stateDir, 'none')],
        stderr: 'pipe',
      }),
    );
    await expect(client.listTools()).rejects.toThrow(/No Postern runs with this state folder/);
    await client.close();
  });
});
