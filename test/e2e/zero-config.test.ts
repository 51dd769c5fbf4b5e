import { chmod, mkdir, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import process from 'node:process';
import { afterEach, describe, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { startGateway } from '../conformance/gateway.ts';
import { newFolder, spawnPostern, until, up } from './process.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

/** A model server that lists one model, or undefined where the port is taken. */
function listing(port: number, model: string, afterMs = 0): Promise<string | undefined> {
  const server = http.createServer((_request, response) => {
    response.setHeader('content-type', 'application/json');
    const list = { object: 'list', data: [{ id: model, object: 'model' }] };
    setTimeout(() => response.end(JSON.stringify(list)), afterMs);
  });
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      // A server that listens on TCP has an address with a port.
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
    });
  });
}

async function providersOf(env: Record<string, string>) {
  const gate = await startGateway({ env });
  closers.push(() => gate.stop());
  return { gate, providers: await providersIn(gate) };
}

async function providersIn(gate: TestGateway) {
  const { body } = await gate.control('GET', '/api/v1/runtime');
  // The view of the runtime lists providers as objects with these members.
  return body['providers'] as { id: string; models: number; found_by: string | null }[];
}

describe('detection', () => {
  test.for([
    ['ollama', 'Ollama', 11_434],
    ['vllm', 'vLLM', 8_000],
    ['llamacpp', 'llama.cpp', 8_080],
    ['lmstudio', 'LM Studio', 1_234],
  ] as const)('finds %s on its usual port', async ([id, name, port], { skip }) => {
    const url = await listing(port, 'found-model');
    skip(url === undefined, `port ${port} of this machine is taken`);
    const { gate } = await providersOf({});
    // A list that takes its time is waited for in the background.
    await expect
      .poll(async () => (await providersIn(gate)).find((each) => each.id === id))
      .toMatchObject({ models: 1, found_by: `${name} on 127.0.0.1:${port}`, problem: null });
  });

  test('finds one that a busy machine keeps from answering at once', async ({ skip }) => {
    const url = await listing(1_234, 'slow-model', 600);
    skip(url === undefined, 'port 1234 of this machine is taken');
    const { gate } = await providersOf({});
    await expect
      .poll(async () => (await providersIn(gate)).find(({ id }) => id === 'lmstudio'))
      .toMatchObject({ models: 1 });
  });

  test('takes PROVIDER_BASE_URL with its key as upstream, and serves its models', async () => {
    const url = await listing(0, 'mine');
    const { gate, providers } = await providersOf({
      PROVIDER_BASE_URL: String(url),
      PROVIDER_API_KEY: 'k',
    });
    expect(providers.find(({ id }) => id === 'upstream')).toMatchObject({
      models: 1,
      found_by: 'PROVIDER_BASE_URL',
    });
    expect((await gate.control('GET', '/v1/models')).body['data']).toMatchObject([
      { id: 'upstream/mine' },
      { id: 'builtin/eliza' },
    ]);
  });

  test('does not wait for vendors that cannot be reached, and says so in a line each', async () => {
    const before = performance.now();
    const { gate, providers } = await providersOf({
      OPENAI_API_KEY: 'sk-x',
      ANTHROPIC_API_KEY: 'sk-y',
    });
    expect(performance.now() - before).toBeLessThan(3_000);
    expect(providers.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['openai', 'anthropic', 'builtin']),
    );
    const unlisted = () => gate.log.filter(({ msg }) => msg === 'models not listed');
    await until(() => unlisted().length > 0, 6_000);
    expect(new Set(unlisted().map(({ provider }) => provider))).toEqual(
      new Set(['anthropic', 'openai']),
    );
    expect(JSON.stringify(gate.log)).not.toMatch(/sk-[xy]/);
  });

  test('counts a variable that is set to nothing as unset', async () => {
    const { providers } = await providersOf({ PROVIDER_BASE_URL: '', OPENAI_API_KEY: '' });
    expect(providers.map(({ id }) => id)).not.toContain('upstream');
    expect(providers.map(({ id }) => id)).not.toContain('openai');
  });

  test('says in one line what is wrong with PROVIDER_BASE_URL, and serves the rest', async () => {
    const { gate, providers } = await providersOf({ PROVIDER_BASE_URL: 'localhost:11434/v1' });
    const lines = gate.log.filter(({ msg }) => msg === 'provider not usable');
    expect(lines).toMatchObject([
      { problem: 'PROVIDER_BASE_URL: write it as http://HOST:PORT/v1' },
    ]);
    expect(providers.map(({ id }) => id)).toContain('builtin');
  });
});

describe('up', () => {
  test('names the owner of a busy port and ends with 1', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    // A server that listens on TCP has an address with a port.
    const { port } = server.address() as AddressInfo;
    const ended = await spawnPostern(['up'], { POSTERN_STATE: await newFolder(), PORT: `${port}` })
      .ended;
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(
      new RegExp(
        `^Postern did not start\\.\\ngateway: 127\\.0\\.0\\.1:${port} is in use by .+ \\(pid ${process.pid}\\)\\n$`,
      ),
    );
  });

  test('refuses an address that is none, with 4 and who said it', async () => {
    const state = await newFolder();
    const byVariable = await spawnPostern(['up'], { POSTERN_STATE: state, PORT: 'abc' }).ended;
    expect(byVariable).toMatchObject({ code: 4 });
    expect(byVariable.err).toContain('PORT: "abc" is no address');
    const byFlag = await spawnPostern(['up', '--port', '99999'], { POSTERN_STATE: state }).ended;
    expect(byFlag).toMatchObject({ code: 4 });
    expect(byFlag.err).toContain('--port: "99999" is no address');
  });

  test('of a second process on the same state folder names the first one', async () => {
    const first = await up();
    const second = await spawnPostern(['up'], { POSTERN_STATE: first.stateDir }).ended;
    expect(second.code).toBe(1);
    expect(second.err).toContain(`in use by process ${first.child.pid} on `);
    // The first one is not disturbed.
    expect((await first.get('/health')).status).toBe(200);
  });

  test('closes a state folder that others may enter, and refuses one that is a file', async () => {
    const state = await newFolder();
    await chmod(state, 0o777);
    const gate = await up({ stateDir: state });
    expect((await stat(state)).mode & 0o777).toBe(0o700);
    expect((await stat(path.join(state, 'run', 'control.sock'))).mode & 0o777).toBe(0o600);
    expect((await stat(path.join(state, 'state.db'))).mode & 0o777).toBe(0o600);
    gate.child.kill('SIGTERM');
    expect((await gate.ended).code).toBe(0);
    const file = path.join(await newFolder(), 'state');
    await writeFile(file, '');
    const ended = await spawnPostern(['up'], { POSTERN_STATE: file }).ended;
    expect(ended.code).toBe(1);
    expect(ended.err).toContain(file);
    expect(ended.err.split('\n').length).toBeLessThanOrEqual(3);
  });

  test('refuses a folder of its sockets that others may write to, and says the command', async () => {
    const state = await newFolder();
    await mkdir(path.join(state, 'run'));
    await chmod(path.join(state, 'run'), 0o777);
    const ended = await spawnPostern(['up'], { POSTERN_STATE: state }).ended;
    expect(ended.code).toBe(1);
    expect(ended.err).toContain(`chmod go-w ${state}/run`);
  });

  test('tells where it listens and what to paste next; a missing address family is one line', async () => {
    const hasIpv6 = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(0, '::1', () => probe.close(() => resolve(true)));
    });
    const gate = await up();
    expect(gate.err()).toContain('Without a model name, builtin/eliza answers. Try:');
    expect(gate.err()).toContain(
      `curl -s 127.0.0.1:${gate.port}/ask -d '{"prompt":"I am worried about my build"}'`,
    );
    const skipped = gate
      .err()
      .split('\n')
      .filter((line) => line.includes('skipped'));
    if (hasIpv6) {
      expect(skipped).toEqual([]);
      expect(gate.err()).toMatch(/gateway +\[::1\]:\d+/);
    } else expect(skipped).toEqual(['  skipped         [::1]:0: this machine has no IPv6']);
  });
});
