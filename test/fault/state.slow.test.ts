import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Result } from '@postern/core/base';
import type { Snapshot } from '@postern/core/state';
import { emptySnapshot, replay } from '@postern/core/state';
import {
  inspectBackup,
  openSqliteStore,
  restoreBackup,
} from '@postern/server/adapters/store-sqlite';
import { createNodeSystem } from '@postern/server/adapters/system-node';
import { createControl, createKey } from '@postern/server/control';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compiledFor } from './compiled.ts';

const script = new URL('./state-writer.ts', import.meta.url).pathname;
const cycles = 100;
const system = createNodeSystem();
const owner = { actor: { principal: 'local:uid:0', channel: 'system' } } as const;

let base = '';
let dir = '';
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'postern-crash-'));
  dir = join(base, 'state');
});
afterEach(() => rm(base, { recursive: true, force: true }));

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** Runs the writer until a moment after it opened, kills it, and gives the lines that it had acknowledged. */
async function runUntilKilled(cycle: number, env: NodeJS.ProcessEnv): Promise<string[]> {
  const child = spawn(process.execPath, [script, dir, `c${cycle}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  let text = '';
  let errors = '';
  let isOpen = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    isOpen = resolve;
  });
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    isOpen();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
    isOpen();
  });
  const closed = once(child, 'close');
  // Every tenth dies somewhere in its start; the others at a moment that moves through their work.
  if (cycle % 10 === 9) await wait(40 + ((cycle * 13) % 200));
  else {
    await opened;
    await wait((cycle * 37) % 140);
  }
  child.kill('SIGKILL');
  await closed;
  expect(errors).toBe('');
  // A line that was cut off was not acknowledged.
  return text.split('\n').slice(0, -1);
}

async function readState(): Promise<Snapshot> {
  const store = value(await openSqliteStore(dir));
  let snapshot = emptySnapshot();
  let { rows } = value(await store.load('genesis'));
  while (rows.length > 0) {
    snapshot = value(replay(snapshot, rows, system.sha256Hex));
    rows = value(await store.readAfter(snapshot.index));
  }
  await store.close();
  return snapshot;
}

interface Acknowledged {
  readonly keys: Set<string>;
  readonly revoked: Set<string>;
  generation: number;
}

function take(acknowledged: Acknowledged, lines: readonly string[]): void {
  for (const line of lines) {
    const [kind, first = '', name = ''] = line.split(' ');
    if (kind === 'key') acknowledged.keys.add(first);
    if (kind === 'revoked') acknowledged.revoked.add(first);
    if (kind === 'config') {
      acknowledged.generation = Math.max(acknowledged.generation, Number(first));
      expect(name).not.toBe('');
    }
  }
}

function expectKept(snapshot: Snapshot, { keys, revoked, generation }: Acknowledged): void {
  const kept = new Map([...snapshot.keysById.values()].map((key) => [key.name, key]));
  const lost = [...keys].filter((name) => !kept.has(name));
  const revived = [...revoked].filter((name) => kept.get(name)?.revokedAtMs === undefined);
  expect({ lost, revived }).toEqual({ lost: [], revived: [] });
  expect(snapshot.generations[0]?.number ?? 0).toBeGreaterThanOrEqual(generation);
}

describe('kill -9', () => {
  test(`${cycles} times during changes: everything acknowledged is there, and the chain holds`, async () => {
    const acknowledged: Acknowledged = { keys: new Set(), revoked: new Set(), generation: 0 };
    const env = await compiledFor(script);
    let index = 0;
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      take(acknowledged, await runUntilKilled(cycle, env));
      const snapshot = await readState();
      expect(snapshot.index).toBeGreaterThanOrEqual(index);
      index = snapshot.index;
      expectKept(snapshot, acknowledged);
    }
    expect(acknowledged.keys.size).toBeGreaterThan(cycles);
    const store = value(await openSqliteStore(dir));
    expect(value(await store.verify())).toMatchObject({ intact: true, records: index });
    await store.close();
  }, 900_000);
});

describe('backups under write load', () => {
  test('are each a whole prefix of the journal, and the last one restores', async () => {
    const store = value(await openSqliteStore(dir));
    const control = value(await createControl({ store, system }));
    const done = new AbortController();
    let made = 0;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; !done.signal.aborted; i += 1) {
        const name = `w${writer}-${i}`;
        value(await createKey(control, { name, scope: {}, boundTo: [] }, owner));
        made += 1;
      }
    });
    const files = Array.from({ length: 12 }, (_, i) => join(base, `${i}.postern-backup`));
    const heads: { index: number; hash: string }[] = [];
    for (const file of files) {
      const before = control.snapshot().index;
      const { headIndex, headHash } = value(await control.backup(file));
      expect(headIndex).toBeGreaterThanOrEqual(before);
      heads.push({ index: headIndex, hash: headHash });
    }
    done.abort();
    await Promise.all(writers);
    await control.close();
    const last = await readState();
    expect(last.keysById.size).toBe(made);
    for (const [i, file] of files.entries()) {
      const { report } = value(await inspectBackup(file));
      expect(report).toMatchObject({ intact: true, head: heads[i] });
    }
    const again = value(await openSqliteStore(dir));
    for (const { index, hash } of heads) {
      expect(value(await again.readAfter(index - 1))[0]?.hash).toBe(hash);
    }
    await again.close();
    const target = join(base, 'restored');
    const file = files.at(-1) ?? '';
    const restored = await restoreBackup({
      file,
      dir: target,
      actor: owner.actor,
      nowMs: Date.now(),
      checkpoint: heads[0] ?? { index: 0, hash: '' },
    });
    expect(value(restored).head.index).toBe((heads.at(-1)?.index ?? 0) + 1);
    const reopened = value(await openSqliteStore(target));
    const control2 = value(await createControl({ store: reopened, system }));
    expect(control2.snapshot().keysById.size).toBe(heads.at(-1)?.index);
    await control2.close();
  });
});
