import { rename, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { dataFrames, sse, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags } from '../conformance/gateway.ts';
import { newFolder, until, up } from './process.ts';

let upstream: ScriptedUpstream;
beforeEach(async () => {
  upstream = await startScriptedUpstream();
});
afterEach(() => upstream.close());

const streams = 200;
const reloads = 50;
const requestsPerSecond = 200;

const configOf = (note: string): string =>
  JSON.stringify({
    providers: { m: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['a', note] } },
    identities: keysAsTags(),
    limits: { drainMs: 30_000 },
  });

test(`${streams} open streams during SIGTERM: none is broken, all are in the log`, {
  timeout: 60_000,
}, async () => {
  const stateDir = await newFolder();
  await writeFile(path.join(stateDir, 'postern.hujson'), configOf('x'));
  await writeFile(path.join(stateDir, 'policy.hujson'), everyKey);
  const gate = await up({ stateDir });
  const key = (await gate.cli('key', 'create', 'k')).out.trim();
  const more = Promise.withResolvers<void>();
  const delta = dataFrames({ choices: [{ index: 0, delta: { content: 'one' } }] });
  const last = dataFrames({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }, '[DONE]');
  const script = { headers: sse, pieces: [delta, { wait: more.promise }, last] };
  upstream.expect(...Array.from({ length: streams }, () => script));
  const agent = new http.Agent({ keepAlive: true });
  const texts: string[] = Array.from({ length: streams }, () => '');
  const ends = texts.map(
    (_, at) =>
      new Promise<string>((resolve) => {
        const options = { method: 'POST', agent, headers: { authorization: `Bearer ${key}` } };
        const request = http.request(`${gate.url}/v1/chat/completions`, options, (response) => {
          response.setEncoding('utf8').on('data', (piece: string) => {
            texts[at] += piece;
          });
          response.on('end', () => resolve('end'));
          response.on('error', () => resolve('broken'));
        });
        request.on('error', () => resolve('broken'));
        request.end('{"model":"m/a","stream":true,"messages":[{"role":"user","content":"x"}]}');
      }),
  );
  await until(() => texts.every((text) => text.includes('one')));
  gate.child.kill('SIGTERM');
  await until(() => gate.err().includes('SIGTERM'));
  more.resolve();
  expect(new Set(await Promise.all(ends))).toEqual(new Set(['end']));
  expect(texts.every((text) => text.endsWith('data: [DONE]\n\n'))).toBe(true);
  expect((await gate.ended).code).toBe(0);
  agent.destroy();
  const lines = gate.log().filter(({ target }) => target === 'm/a');
  expect(lines).toHaveLength(streams);
  expect(lines.every(({ outcome }) => outcome === 'complete')).toBe(true);
});

test(`${reloads} reloads at ${requestsPerSecond} requests a second: none fails`, {
  timeout: 60_000,
}, async () => {
  const stateDir = await newFolder();
  const file = path.join(stateDir, 'postern.hujson');
  await writeFile(file, configOf('x'));
  await writeFile(path.join(stateDir, 'policy.hujson'), everyKey);
  const gate = await up({ stateDir });
  const key = (await gate.cli('key', 'create', 'k')).out.trim();
  const answers: Promise<number>[] = [];
  const ask = async (): Promise<number> => {
    const answer = await fetch(`${gate.url}/ask`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: '{"prompt":"Men are all alike.","model":"builtin/eliza"}',
    });
    await answer.arrayBuffer();
    return answer.status;
  };
  const timer = setInterval(() => answers.push(ask()), 1_000 / requestsPerSecond);
  const timesSaid = (msg: string): number => gate.out().split(`"msg":"${msg}`).length - 1;
  try {
    for (let i = 0; i < reloads; i += 1) {
      const isWrong = i % 10 === 9;
      const answer = isWrong ? 'configuration refused' : 'configuration in force';
      const before = timesSaid(answer);
      await writeFile(`${file}.new`, isWrong ? '{"frob": 1}' : configOf(`m${i}`));
      await rename(`${file}.new`, file);
      gate.child.kill('SIGHUP');
      // Two signals in a row may be answered by one reload.
      await until(() => timesSaid(answer) > before);
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
    }
    await until(() => answers.length > 500);
  } finally {
    clearInterval(timer);
  }
  const statuses = await Promise.all(answers);
  expect(statuses.length).toBeGreaterThan(500);
  expect(new Set(statuses)).toEqual(new Set([200]));
  const inForce = gate.log().filter(({ msg }) => msg === 'configuration in force');
  expect(inForce.length).toBeGreaterThanOrEqual(reloads - reloads / 10);
});
