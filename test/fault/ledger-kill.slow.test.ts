import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { leasedOf } from '@postern/core/quota';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import { createNodeSystem } from '@postern/server/adapters/system-node';
import { Ledger } from '@postern/server/gateway/money';
import { expect, test } from 'vitest';
import { compiledFor } from './compiled.ts';
import { killBudget } from './ledger-budget.ts';

/** `POSTERN_KILLS=1000` for a long night. */
const kills = Number(process.env['POSTERN_KILLS'] ?? 200);
const child = fileURLToPath(new URL('./ledger-child.ts', import.meta.url));

interface Life {
  readonly delivered: number;
  readonly acknowledged: number;
}

/** One process from its start to its kill, so many milliseconds after it began to spend. */
function live(stateDir: string, ms: number, env: NodeJS.ProcessEnv): Promise<Life> {
  return new Promise((resolve, reject) => {
    const journal = `${stateDir}.delivered`;
    rmSync(journal, { force: true });
    const running = spawn(process.execPath, [child, stateDir, journal], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    });
    let isReady = false;
    let complaint = '';
    running.stdout.once('data', () => {
      isReady = true;
      setTimeout(() => running.kill('SIGKILL'), ms);
    });
    running.stderr.setEncoding('utf8');
    running.stderr.on('data', (piece: string) => {
      complaint += piece;
    });
    running.on('close', (_, signal) => {
      if (signal !== 'SIGKILL' || !isReady) {
        reject(new Error(`it ended by itself: ${complaint}`));
        return;
      }
      let delivered = 0;
      let acknowledged = 0;
      for (const line of readFileSync(journal, 'utf8').split('\n').slice(0, -1)) {
        const [word, count] = line.split(' ');
        if (word === 'delivered') delivered += Number(count);
        if (word === 'acknowledged') acknowledged = Number(count);
      }
      resolve({ delivered, acknowledged });
    });
  });
}

test(
  `after ${kills} kills at random points nothing is under-counted and all that was acknowledged is there`,
  async () => {
    const base = await mkdtemp(path.join(tmpdir(), 'postern-kill-'));
    const stateDir = path.join(base, 'state');
    const env = await compiledFor(child);
    let delivered = 0;
    let acknowledged = 0;
    try {
      for (let i = 0; i < kills; i += 1) {
        // oxlint-disable-next-line no-await-in-loop -- one life after the other
        const life = await live(stateDir, Math.floor(Math.random() * 120), env);
        delivered += life.delivered;
        acknowledged += life.acknowledged;
      }
      const store = await openSqliteStore(stateDir);
      if (!store.ok) throw new Error(store.error.message);
      const system = createNodeSystem();
      const ledger = new Ledger({
        bank: store.value.bank,
        process: system.newId(),
        clock: { nowMs: system.nowMs, after: () => ({ clear: () => undefined }) },
        staleAfterMs: 0,
      });
      expect(await ledger.begin()).toEqual({ ok: true, value: undefined });
      const rows = await store.value.bank.accounts({ limit: 10 });
      const state = rows.ok ? rows.value[0]?.state : undefined;
      const usage = await store.value.bank.usage({ sinceMs: 0, by: 'user' });
      await ledger.close();
      await store.value.close();
      if (state === undefined || !usage.ok) throw new Error('the books cannot be read');
      const { spent, lost, balance, opened, refilled } = state;
      expect(leasedOf(state)).toBe(0);
      expect(balance + spent + lost).toBe(opened + refilled);
      expect(spent + lost).toBeGreaterThanOrEqual(delivered);
      expect(delivered).toBeGreaterThan(0);
      expect(usage.value[0]?.requests ?? 0).toBeGreaterThanOrEqual(acknowledged);
      expect(killBudget.capacity).toBeGreaterThanOrEqual(spent + lost);
      // oxlint-disable-next-line no-console -- the figures of a long campaign
      console.log(
        `${kills} kills: delivered ${delivered}, spent ${spent}, lost ${lost}, acknowledged ${acknowledged}`,
      );
    } finally {
      await rm(base, { recursive: true, force: true });
    }
  },
  kills * 10_000,
);
