import { err, ok } from '@postern/core/base';
import { expect, test } from 'vitest';
import { resolveHere } from './resolve.ts';

test('an address and a name of /etc/hosts are known', async () => {
  expect(await resolveHere('192.0.2.7')).toEqual(ok(['192.0.2.7']));
  const local = await resolveHere('localhost');
  expect(local.ok && local.value.some((each) => each === '127.0.0.1' || each === '::1')).toBe(true);
});

test('a name that cannot be is a refusal that says so', async () => {
  const found = await resolveHere('-not a name-');
  expect(found.ok).toBe(false);
  expect(!found.ok && found.error).toContain('-not a name-');
});

test('a resolver that says nothing is not waited for', async () => {
  expect(await resolveHere('localhost', 1)).toEqual(err('no answer of the resolver'));
});
