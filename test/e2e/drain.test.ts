import http from 'node:http';
import { connect } from 'node:net';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { dataFrames, sse, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags } from '../conformance/gateway.ts';
import type { Up } from './process.ts';
import { newFolder, spawnPostern, until, up } from './process.ts';

let upstream: ScriptedUpstream;
beforeEach(async () => {
  upstream = await startScriptedUpstream();
});
afterEach(() => upstream.close());

async function started(limits: Record<string, number>): Promise<{ gate: Up; key: string }> {
  const stateDir = await newFolder();
  const config = {
    providers: { m: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['a'] } },
    identities: keysAsTags(),
    limits,
  };
  await writeFile(path.join(stateDir, 'postern.hujson'), JSON.stringify(config));
  await writeFile(path.join(stateDir, 'policy.hujson'), everyKey);
  const gate = await up({ stateDir });
  const made = await gate.cli('key', 'create', 'k');
  return { gate, key: made.out.trim() };
}

interface Stream {
  readonly text: () => string;
  /** How the answer ended: cleanly, or broken. */
  readonly ended: Promise<'end' | 'broken'>;
}

const agent = new http.Agent({ keepAlive: true });
afterEach(() => agent.destroy());

function stream(gate: Up, key: string, route = '/v1/chat/completions'): Stream {
  const question =
    route === '/ask'
      ? { prompt: 'x' }
      : { max_tokens: 9, messages: [{ role: 'user', content: 'x' }] };
  const body = JSON.stringify({ model: 'm/a', stream: true, ...question });
  let text = '';
  const ended = new Promise<'end' | 'broken'>((resolve) => {
    const request = http.request(`${gate.url}${route}`, { method: 'POST', agent }, (response) => {
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () => resolve('end'));
      response.on('error', () => resolve('broken'));
    });
    request.setHeader('authorization', `Bearer ${key}`);
    request.on('error', () => resolve('broken'));
    request.end(body);
  });
  return { text: () => text, ended };
}

const delta = (text: string): string =>
  dataFrames({
    id: '1',
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta: { content: text } }],
  });
const last = dataFrames(
  {
    id: '1',
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
  },
  '[DONE]',
);

function gatePromise(): { promise: Promise<void>; open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, open: resolve };
}

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });
}

describe('a first SIGTERM', () => {
  test('is taken in order from the moment that the process says it is up', async () => {
    const gate = spawnPostern(['up'], { POSTERN_STATE: await newFolder() });
    gate.child.stderr?.on('data', () => {
      if (gate.err().includes('Postern is up.') && !gate.child.killed) gate.child.kill('SIGTERM');
    });
    const { code, err } = await gate.ended;
    expect(err).toContain('SIGTERM: finishing open answers');
    expect(code).toBe(0);
  });

  test('turns /readyz at once, goes on accepting for the delay, lets streams finish and exits 0', async () => {
    const { gate, key } = await started({ drainDelayMs: 2_000, drainMs: 10_000 });
    const more = gatePromise();
    upstream.expect({ headers: sse, pieces: [delta('one'), { wait: more.promise }, last] });
    const answer = stream(gate, key);
    await until(() => answer.text().includes('one'));
    expect((await gate.get('/readyz')).status).toBe(200);
    gate.child.kill('SIGTERM');
    await until(async () => (await gate.get('/readyz')).status === 503, 1_500);
    expect((await gate.get('/livez')).status).toBe(200);
    expect((await gate.get('/v1/models', { authorization: `Bearer ${key}` })).status).toBe(200);
    await until(() => refuses(gate.port));
    expect(gate.child.exitCode).toBe(null);
    const before = performance.now();
    more.open();
    expect(await answer.ended).toBe('end');
    expect(answer.text()).toContain('[DONE]');
    expect((await gate.ended).code).toBe(0);
    // A connection that its client keeps does not hold the process.
    expect(performance.now() - before).toBeLessThan(2_000);
    const line = gate.log().find(({ target }) => target === 'm/a');
    expect(line).toMatchObject({ outcome: 'complete', status: 200 });
  });

  test('refuses what still arrives on a kept connection, in the format of the caller, and closes it', async () => {
    const { gate, key } = await started({ drainMs: 10_000 });
    const more = gatePromise();
    upstream.expect({ headers: sse, pieces: [delta('one'), { wait: more.promise }, last] });
    const body = '{"model":"m/a","stream":true,"messages":[{"role":"user","content":"x"}]}';
    const socket = connect(gate.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    const closed = new Promise((resolve) => socket.on('close', resolve));
    const send = (route: string): void => {
      socket.write(
        `POST ${route} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    };
    send('/v1/chat/completions');
    await until(() => text.includes('one'));
    gate.child.kill('SIGTERM');
    await until(() => refuses(gate.port));
    send('/v1/messages');
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    more.open();
    await closed;
    const answer = text.slice(text.lastIndexOf('HTTP/1.1'));
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer.toLowerCase()).toContain('\r\nconnection: close\r\n');
    expect(answer).toContain('"type":"error","error":{"type":"overloaded_error"');
    expect((await gate.ended).code).toBe(0);
    expect(gate.log().find(({ error }) => error === 'draining')).toMatchObject({
      path: '/v1/messages',
      status: 503,
    });
  });

  test('ends streams that outlast the limit with an error event', async () => {
    const { gate, key } = await started({ drainMs: 300 });
    upstream.expect({
      headers: sse,
      pieces: [delta('one'), { wait: new Promise(() => undefined) }],
    });
    const answer = stream(gate, key);
    await until(() => answer.text().includes('one'));
    gate.child.kill('SIGTERM');
    await answer.ended;
    expect(answer.text()).toContain('"code":"draining"');
    expect(answer.text()).not.toContain('[DONE]');
    expect((await gate.ended).code).toBe(0);
  });
});

describe('a second signal', () => {
  test('ends what is open with an error of its own format, and the process at once', async () => {
    const { gate, key } = await started({ drainDelayMs: 60_000, drainMs: 3_600_000 });
    const forever = new Promise(() => undefined);
    const hanging = { headers: sse, pieces: [delta('one'), { wait: forever }] };
    upstream.expect(hanging, hanging, hanging, { pieces: [{ wait: forever }] });
    const streams = [
      stream(gate, key),
      stream(gate, key, '/v1/messages'),
      stream(gate, key, '/ask'),
    ];
    await until(() => streams.every((each) => each.text().includes('one')));
    // One that has no answer yet gets a status.
    const silent = fetch(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: '{"model":"m/a","messages":[{"role":"user","content":"x"}]}',
    });
    await until(() => upstream.received.length === 4);
    gate.child.kill('SIGTERM');
    await until(() => gate.err().includes('SIGTERM'));
    const before = performance.now();
    gate.child.kill('SIGTERM');
    await Promise.all(streams.map((each) => each.ended));
    const [chat, messages, ask] = streams.map((each) => each.text());
    expect(chat).toContain('"code":"draining"');
    expect(messages).toContain(
      'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"',
    );
    expect(ask).toContain('event: error');
    expect(ask).toContain('"code":"draining"');
    for (const text of [chat, messages, ask]) {
      expect(text).not.toMatch(/\[DONE\]|message_stop/);
    }
    const refused = await silent;
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { code: 'draining' } });
    expect((await gate.ended).code).toBe(0);
    expect(performance.now() - before).toBeLessThan(2_500);
  });
});

test('control operations that are under way when the signal comes are answered', async () => {
  const { gate } = await started({ drainMs: 5_000 });
  const calls = Array.from({ length: 20 }, (_, i) => gate.cli('key', 'create', `k${i}`, '--json'));
  const backup = gate.cli('backup', path.join(gate.stateDir, 'copy'), '--json');
  await until(() => gate.log().filter(({ operation }) => operation === 'key.create').length > 3);
  gate.child.kill('SIGTERM');
  const results = await Promise.all([...calls, backup]);
  // Done, refused, or never taken; nothing breaks off in between.
  for (const { code, err } of results) {
    if (code !== 0) expect(err).toMatch(/shutting down|No Postern runs|without an answer/);
  }
  expect(results.filter(({ code }) => code === 0).length).toBeGreaterThan(0);
  expect((await gate.ended).code).toBe(0);
});
