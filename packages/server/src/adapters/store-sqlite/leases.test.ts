import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { openSqliteStore } from './index.ts';

test('leases that were written are there after the store was closed, and those that are gone are not', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-leases-'));
  try {
    const first = await openSqliteStore(dir);
    if (!first.ok) throw new Error(first.error.message);
    const { leases } = first.value;
    expect(await leases.loadLeases()).toEqual({ ok: true, value: [] });
    const renewed = [
      { uuid: 'a', renewedAtMs: 1 },
      { uuid: 'b', renewedAtMs: 2 },
    ];
    expect(await leases.writeLeases({ renewed, gone: [] })).toMatchObject({ ok: true });
    const again = [{ uuid: 'b', renewedAtMs: 3 }];
    expect(await leases.writeLeases({ renewed: again, gone: ['a', 'z'] })).toMatchObject({
      ok: true,
    });
    await first.value.close();
    expect(await leases.loadLeases()).toMatchObject({ ok: false });
    const second = await openSqliteStore(dir);
    if (!second.ok) throw new Error(second.error.message);
    expect(await second.value.leases.loadLeases()).toEqual({ ok: true, value: again });
    await second.value.close();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
