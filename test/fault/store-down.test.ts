/**
 * The store of money fails, or the disk is full, under a whole gateway: callers get 503 with a wait and never a 401, readiness says
 * so, open streams end as they should, and it heals without a restart.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { err } from '@postern/core/base';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { SqliteClient } from '../../packages/server/src/adapters/store-sqlite/client.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from '../conformance/gateway.ts';
import {
  call,
  cleanEnd,
  openCall,
  routes,
  streamed,
  whole,
} from '../conformance/gateway-fixture.ts';
import { cli, newFolder, until, up } from '../e2e/process.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';

/** 11 in at 3, 7 out at 15 USD a million tokens: what every script reports. */
const costOfAnswer = 11 * 3_000 + 7 * 15_000;

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(() => upstream.close());
afterEach(() => {
  vi.restoreAllMocks();
  upstream.forget();
});

interface Fixture {
  readonly gateway: TestGateway;
  ask(stream?: boolean): ReturnType<typeof call>;
  isReady(): Promise<boolean>;
  spent(): Promise<number>;
}

async function fixture(config: Record<string, unknown> = {}, stateDir?: string): Promise<Fixture> {
  const gateway = await startGateway({
    config: {
      providers: { oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] } },
      identities: keysAsTags(),
      prices: { '**': { input: '3', output: '15' } },
      budgets: { books: { usd: '100', every: 'never', match: ['*'] } },
      ...config,
    },
    policy: granting({ 'tag:key': { models: ['**'] } }),
    ...(stateDir === undefined ? {} : { stateDir }),
  });
  const key = await gateway.key('k');
  return {
    gateway,
    ask: (stream = false) => {
      upstream.expect((stream ? streamed : whole)['openai-chat']);
      const body = routes['openai-chat'].body('oai/up', stream);
      return call(gateway, { path: '/v1/chat/completions', key, body });
    },
    isReady: async () => (await call(gateway, { method: 'GET', path: '/readyz' })).status === 200,
    spent: async () => {
      const { body } = await gateway.control('GET', '/api/v1/usage?by=budget');
      const items = body['items'] as { nano_usd: number }[];
      return items[0]?.nano_usd ?? 0;
    },
  };
}

async function readyMetric({ stateDir }: TestGateway): Promise<string | undefined> {
  const text = await new Promise<string>((resolve, reject) => {
    http
      .get(
        { socketPath: path.join(stateDir, 'run', 'control.sock'), path: '/metrics' },
        (answer) => {
          answer
            .setEncoding('utf8')
            .toArray()
            .then((pieces) => resolve(pieces.join('')), reject);
        },
      )
      .on('error', reject);
  });
  return /^postern_ready .*$/m.exec(text)?.[0];
}

/** From here on the store does what `how` says to each batch of money. */
function storeWill(how: (real: () => Promise<unknown>) => Promise<unknown>): void {
  const real = SqliteClient.prototype.bank;
  vi.spyOn(SqliteClient.prototype, 'bank').mockImplementation(function bank(
    this: SqliteClient,
    ...args: Parameters<typeof real>
  ) {
    // What a batch is answered with is of no type here: it is the real answer or a failure.
    return how(() => real.apply(this, args)) as ReturnType<typeof real>;
  });
}
const gone = { kind: 'unavailable', message: 'The disk went away.' };

describe('the store of money does not answer', () => {
  test('requests are refused with a wait, readiness says so, streams finish, and it heals', async () => {
    const { gateway, ask, isReady, spent } = await fixture();
    try {
      expect((await ask()).status).toBe(200);
      const key = await gateway.key('other');
      const more = Promise.withResolvers<void>();
      const [first = '', rest = ''] = streamed['openai-chat'].pieces.filter(
        (piece) => typeof piece === 'string',
      );
      upstream.expect({
        ...streamed['openai-chat'],
        pieces: [first, { wait: more.promise }, rest],
      });
      const open = openCall(gateway, {
        path: '/v1/chat/completions',
        key,
        body: routes['openai-chat'].body('oai/up', true),
      });
      expect((await open.response).statusCode).toBe(200);
      storeWill(async () => err(gone));
      const refused = await until503(ask);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'state_unavailable' } });
      expect(await isReady()).toBe(false);
      // Who looks by other means is told the same, and why.
      const status = await cli(['status'], { stateDir: gateway.stateDir });
      expect(status.out.split('\n', 1)[0]).toMatch(/, not ready: money: The disk went away$/);
      expect(await readyMetric(gateway)).toBe('postern_ready 0');
      more.resolve();
      const answer = await open.answer();
      expect(answer.text).toMatch(cleanEnd['openai-chat']);
      vi.restoreAllMocks();
      await until(async () => (await ask()).status === 200);
      expect(await isReady()).toBe(true);
      expect(await readyMetric(gateway)).toBe('postern_ready 1');
      const served = gateway.log.filter(
        ({ status, target }) => status === 200 && target !== undefined,
      );
      expect(await spent()).toBe(served.length * costOfAnswer);
    } finally {
      await gateway.stop();
    }
  });

  test('with `whenStoreDown: "serve"` callers notice nothing, and everything is charged afterwards', async () => {
    const { gateway, ask, isReady, spent } = await fixture({ limits: { whenStoreDown: 'serve' } });
    try {
      expect((await ask()).status).toBe(200);
      storeWill(async () => err(gone));
      // The first report that fails shows that it is down.
      await until(async () => !(await isReady()));
      for (let i = 0; i < 5; i += 1) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        expect((await ask(i % 2 === 0)).status).toBe(200);
      }
      vi.restoreAllMocks();
      await until(isReady);
      await until(async () => (await spent()) === 6 * costOfAnswer);
      const { body } = await gateway.control('GET', '/api/v1/budgets');
      expect(body['items']).toMatchObject([{ spent_usd: '0.000828', lost_usd: '0.00' }]);
    } finally {
      await gateway.stop();
    }
  });

  test('a store that takes its time holds back what needs a lease, and nothing is refused or lost', async () => {
    const { gateway, ask, spent } = await fixture();
    try {
      storeWill(async (real) => {
        await new Promise((resolve) => {
          setTimeout(resolve, 300);
        });
        return real();
      });
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask()));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
      expect(await spent()).toBe(20 * costOfAnswer);
    } finally {
      await gateway.stop();
    }
  });
});

async function until503(ask: Fixture['ask']): ReturnType<Fixture['ask']> {
  let answer: Awaited<ReturnType<typeof call>> | undefined;
  await until(async () => {
    answer = await ask();
    expect([200, 503]).toContain(answer.status);
    return answer.status === 503;
  });
  if (answer === undefined) throw new Error('it was not asked');
  return answer;
}

/** A disk of 40 MiB, where this machine lets us have one. */
const disk = mkdtempSync(path.join(tmpdir(), 'postern-disk-'));
const hasDisk = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', disk]).status === 0;
afterAll(() => {
  if (hasDisk) spawnSync('umount', [disk]);
  rmSync(disk, { recursive: true, force: true });
});

test.skipIf(!hasDisk)(
  'a full disk refuses with a wait and never with 401, keeps the process, and heals',
  { timeout: 120_000 },
  async () => {
    const stateDir = path.join(disk, 'state');
    spawnSync('mkdir', ['-m', '700', stateDir]);
    const { gateway, ask, isReady } = await fixture({}, stateDir);
    try {
      expect((await ask()).status).toBe(200);
      await until(async () => {
        const { stdout } = spawnSync('stat', ['-c', '%s', path.join(stateDir, 'audit/reserve')]);
        return Number(stdout.toString()) >= 8 * 1_048_576;
      });
      const filler = path.join(disk, 'filler');
      await writeFile(filler, Buffer.alloc(64 * 1_048_576)).catch(() => undefined);
      const refused = await until503(ask);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect(await isReady()).toBe(false);
      expect((await call(gateway, { method: 'GET', path: '/livez' })).status).toBe(200);
      await rm(filler);
      await until(async () => (await ask()).status === 200);
      expect(await isReady()).toBe(true);
    } finally {
      await gateway.stop();
    }
  },
);

describe('without file descriptors', () => {
  test('the process lives, a valid key is never called invalid, and it recovers', {
    timeout: 60_000,
  }, async () => {
    const stateDir = await newFolder();
    const config = {
      providers: { oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] } },
      identities: keysAsTags(),
      prices: { '**': { input: '3', output: '15' } },
      budgets: { books: { usd: '100', every: 'never', match: ['*'] } },
    };
    await writeFile(path.join(stateDir, 'postern.hujson'), JSON.stringify(config), { mode: 0o600 });
    await writeFile(
      path.join(stateDir, 'policy.hujson'),
      granting({ 'tag:key': { models: ['**'] } }),
    );
    const gate = await up({ stateDir, before: ['sh', '-c', 'ulimit -n 90; exec "$@"', 'sh'] });
    const key = (await gate.cli('key', 'create', 'k')).out.trim();
    const ask = async (): Promise<number> => {
      upstream.expect(whole['openai-chat']);
      try {
        const answer = await fetch(`${gate.url}/v1/chat/completions`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, connection: 'close' },
          body: JSON.stringify(routes['openai-chat'].body('oai/up', false)),
        });
        await answer.text();
        return answer.status;
      } catch {
        // The kernel took the connection, nobody else did.
        return 0;
      }
    };
    expect(await ask()).toBe(200);
    const sockets = Array.from({ length: 200 }, () =>
      connect(gate.port, '127.0.0.1').on('error', () => undefined),
    );
    await new Promise((resolve) => {
      setTimeout(resolve, 300);
    });
    const during = await Promise.all(
      Array.from({ length: 20 }, () =>
        Promise.race([ask(), new Promise<number>((resolve) => setTimeout(resolve, 2_000, 0))]),
      ),
    );
    for (const status of during) expect([0, 200, 429, 502, 503]).toContain(status);
    expect(during).toContain(0);
    expect(gate.child.exitCode).toBeNull();
    for (const socket of sockets) socket.destroy();
    upstream.forget();
    await until(async () => (await ask()) === 200);
    gate.child.kill('SIGTERM');
    expect((await gate.ended).code).toBe(0);
    expect((await cli(['audit', 'verify'], { stateDir })).code).toBe(0);
  });
});
