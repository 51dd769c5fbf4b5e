import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import process from 'node:process';
import { present } from '@postern/core/base';
import { leasedOf } from '@postern/core/quota';
import { readLogKey, verifyFolder } from '@postern/server/adapters/segment-file';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import { expect, test } from 'vitest';
import { granting, keysAsTags } from '../conformance/gateway.ts';
import { newFolder, up } from '../e2e/process.ts';

/** A start takes half a second and more: a third of what the ledger and the log alone are killed. */
const kills = Math.ceil(Number(process.env['POSTERN_KILLS'] ?? 200) * 0.3);
const lifeMsMax = 700;
const lanes = 8;
/** Nano-USD a token: what the configuration says. */
const inputRate = 3_000;
const outputRate = 15_000;

interface Upstream {
  readonly url: string;
  /** What a provider would bill for: everything that it began to send. Nano-USD. */
  billed(): number;
  close(): void;
}

/** Answers every request, some of them piece by piece, with counts that differ, and bills for what it sends. */
async function startUpstream(): Promise<Upstream> {
  let billed = 0;
  let count = 0;
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      count += 1;
      const usage = { prompt_tokens: 5 + (count % 7), completion_tokens: 1 + (count % 41) };
      billed += usage.prompt_tokens * inputRate;
      const each = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'a' };
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      let left = usage.completion_tokens;
      const piece = (): void => {
        if (response.destroyed) return;
        if (left > 0) {
          left -= 1;
          billed += outputRate;
          const choice = { index: 0, delta: { content: 'word ' }, finish_reason: null };
          response.write(`data: ${JSON.stringify({ ...each, choices: [choice] })}\n\n`);
          setImmediate(piece);
          return;
        }
        const choice = { index: 0, delta: {}, finish_reason: 'stop' };
        response.write(`data: ${JSON.stringify({ ...each, choices: [choice] })}\n\n`);
        response.write(`data: ${JSON.stringify({ ...each, choices: [], usage })}\n\n`);
        response.end('data: [DONE]\n\n');
      };
      piece();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, billed: () => billed, close: () => server.close() };
}

/** Asks for one stream; its id where it ended as it should. */
function ask(url: string, key: string, agent: http.Agent): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${key}` };
    const request = http.request(
      `${url}/v1/chat/completions`,
      { method: 'POST', agent, headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (more: string) => (text += more));
        response.on('end', () => {
          const isWhole = response.statusCode === 200 && text.endsWith('data: [DONE]\n\n');
          resolve(isWhole ? String(response.headers['x-request-id']) : undefined);
        });
        response.on('error', () => resolve(undefined));
      },
    );
    request.on('error', () => resolve(undefined));
    request.end('{"model":"m/a","stream":true,"messages":[{"role":"user","content":"x"}]}');
  });
}

interface Promised {
  /** Requests that the usage history has shown. */
  shown: number;
  answered: number;
}

/** One gateway from its start to its end by SIGKILL, under load. */
async function live(stateDir: string, key: string, ms: number, promised: Promised): Promise<void> {
  const gate = await up({ stateDir });
  const agent = new http.Agent({ keepAlive: true });
  const run = { isOver: false };
  const lane = async (): Promise<void> => {
    while (!run.isOver) {
      // oxlint-disable-next-line no-await-in-loop -- one request after the other in each lane
      const id = await ask(gate.url, key, agent);
      if (id === undefined) return;
      promised.answered += 1;
    }
  };
  const look = async (): Promise<void> => {
    while (!run.isOver) {
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      const shown = await shownBy(gate.cli);
      promised.shown = Math.max(promised.shown, shown);
    }
  };
  const work = Promise.all([look(), ...Array.from({ length: lanes }, lane)]);
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
  gate.child.kill('SIGKILL');
  run.isOver = true;
  await gate.ended;
  await work;
  agent.destroy();
}

async function shownBy(
  cli: (...words: readonly string[]) => Promise<{ readonly out: string }>,
): Promise<number> {
  const { out } = await cli('usage', '--by', 'budget', '--json');
  try {
    // What the command prints as JSON.
    const items = JSON.parse(out) as { requests: number }[];
    return items[0]?.requests ?? 0;
  } catch {
    return 0;
  }
}

test(`after ${kills} kills of a whole gateway the log is whole and nothing is under-counted`, {
  timeout: kills * 20_000,
}, async () => {
  const upstream = await startUpstream();
  const stateDir = await newFolder();
  const witness = path.join(stateDir, 'witness');
  const config = {
    providers: { m: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['a'] } },
    identities: keysAsTags(),
    prices: { '**': { input: '3', output: '15' } },
    budgets: { books: { usd: '1000000', every: 'never', match: ['*'] } },
    audit: { witness: [witness], checkpointSeconds: 1 },
  };
  await writeFile(path.join(stateDir, 'postern.hujson'), JSON.stringify(config), { mode: 0o600 });
  const policy = granting({ 'tag:key': { models: ['**'] } });
  await writeFile(path.join(stateDir, 'policy.hujson'), policy, { mode: 0o600 });
  const first = await up({ stateDir });
  const key = (await first.cli('key', 'create', 'k')).out.trim();
  first.child.kill('SIGTERM');
  await first.ended;
  const promised: Promised = { shown: 0, answered: 0 };
  const dir = path.join(stateDir, 'audit');
  for (let cycle = 0; cycle < kills; cycle += 1) {
    const before = promised.shown;
    // oxlint-disable-next-line no-await-in-loop -- one life after the other
    await live(stateDir, key, (cycle * 137) % lifeMsMax, promised);
    expect(promised.shown).toBeGreaterThanOrEqual(before);
    if (cycle % 10 !== 9 && cycle !== kills - 1) continue;
    // oxlint-disable-next-line no-await-in-loop -- as above
    const publicKey = present(await readLogKey(dir), 'a key');
    // oxlint-disable-next-line no-await-in-loop -- as above
    const verdict = await verifyFolder(dir, { key: publicKey, against: [witness] });
    expect([cycle, verdict.flaw]).toEqual([cycle, undefined]);
  }
  // The last life ends as it should; one request makes its ledger, which ends the slices of the dead.
  const last = await up({ stateDir });
  expect(await ask(last.url, key, new http.Agent())).toBeDefined();
  promised.answered += 1;
  const shownAtLast = await shownBy(last.cli);
  last.child.kill('SIGTERM');
  expect((await last.ended).code).toBe(0);

  let recorded = 0;
  let records = 0;
  const verdict = await verifyFolder(dir, {
    key: present(await readLogKey(dir), 'a key'),
    against: [witness],
    onRecord: ({ kind, fields }) => {
      if (kind !== 'request') return;
      records += 1;
      recorded += Number(fields['cost_nano_usd'] ?? 0);
    },
  });
  const store = await openSqliteStore(stateDir);
  if (!store.ok) throw new Error(store.error.message);
  const rows = await store.value.bank.accounts({ limit: 10 });
  await store.value.close();
  const state = present(rows.ok ? rows.value[0]?.state : undefined, 'the account of the budget');
  upstream.close();
  const { spent, lost, balance, opened, refilled } = state;
  // oxlint-disable-next-line no-console -- the figures of a long campaign
  console.log(
    `${kills} kills: ${promised.answered} answered, ${records} recorded, billed ${upstream.billed()}, spent ${spent}, lost ${lost}`,
  );
  expect(verdict.flaw).toBeUndefined();
  expect(shownAtLast).toBeGreaterThanOrEqual(promised.shown);
  expect(promised.shown).toBeGreaterThan(0);
  expect(promised.answered).toBeGreaterThan(kills);
  expect(balance + spent + lost + leasedOf(state)).toBe(opened + refilled);
  // What is on the record is spent, whether the dead process had reported it or not.
  expect(spent).toBeGreaterThanOrEqual(recorded);
  expect(spent + lost + leasedOf(state)).toBeGreaterThanOrEqual(upstream.billed());
});
