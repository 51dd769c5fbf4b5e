import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorTable } from '@postern/core/errors';
import { ControlClient } from './control-client.ts';

let folder: string;
let server: http.Server;
let answer = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'client-'));
  await mkdir(path.join(folder, 'run'));
  server = http.createServer((_, reply) => reply.writeHead(400).end(answer));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(path.join(folder, 'run', 'control.sock'), resolve);
  await promise;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

async function wordsOf(code: string, fix: string, message: string): Promise<string> {
  answer = JSON.stringify({ error: { code, fix, message } });
  const done = await new ControlClient(folder).json({ method: 'GET', path: '/' });
  return done.ok ? '' : done.error.message;
}

test.each(Object.entries(errorTable))(
  '%s: no word of fields and headers of HTTP',
  async (code, { fix }) => {
    const words = await wordsOf(code, fix, 'It is so');
    expect(words).toMatch(/^It is so/);
    expect(words).not.toMatch(/retry-after|named in param|reference lists the routes/);
  },
);

test('advice follows the message as a sentence of its own', async () => {
  expect(await wordsOf('conflict', 'Read again.', 'It changed')).toBe('It changed. Read again.');
  expect(await wordsOf('conflict', 'Read again.', 'It changed.')).toBe('It changed. Read again.');
  expect(await wordsOf('state_unavailable', 'x', 'Away.')).toBe('Away. Try again in a moment.');
});
