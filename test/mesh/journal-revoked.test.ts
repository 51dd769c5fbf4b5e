import type { Revocation } from '@postern/core/state';
import { emptySnapshot, Table } from '@postern/core/state';
import { expect, test } from 'vitest';
import { journalRevoked } from '../../packages/server/src/app/mesh/journal-revoked.ts';

test('whoever the journal revokes counts at once, for authorities and joins as for peers, and not after it is lifted', () => {
  let snapshot = emptySnapshot();
  const revoked = journalRevoked({ snapshot: () => snapshot });
  expect(revoked().apps.size).toBe(0);
  const before = revoked();
  expect(revoked()).toBe(before);
  const revocation = {
    id: 'rev_1',
    atMs: 0,
    createdBy: 'local:uid:0',
    target: { by: 'peer', kind: 'instance', id: 'ab'.repeat(20) },
  } as const;
  snapshot = {
    ...snapshot,
    revocationsById: Table.empty<Revocation>().set(revocation.id, revocation),
  };
  expect([...revoked().instances]).toEqual(['ab'.repeat(20)]);
  expect(revoked().apps.size).toBe(0);
  snapshot = emptySnapshot();
  expect(revoked().instances.size).toBe(0);
});
