import { expect, test } from 'vitest';
import type { Instance } from './instance.ts';
import { serviceAddresses, serviceLabel } from './names.ts';

test.each([
  ['instant', 'instant'],
  ['Instant', 'instant'],
  ['llm.large', 'llm.large'],
  ['a_b', 'a_b'],
  ['a.', undefined],
  ['a..b', undefined],
  ['a-', undefined],
  ['a.-b', undefined],
])('the type %s is called %s', (type, label) => {
  expect(serviceLabel(type)).toBe(label);
});

const member = (uuid: string, registeredAtMs: number, addresses: readonly string[]): Instance => ({
  uuid,
  nodeType: 'instant',
  hostname: uuid,
  addresses,
  metadata: {},
  owner: 'x',
  leaseMs: 5_000,
  registeredAtMs,
  updatedAtMs: registeredAtMs,
});

test('a name answers with one address of each family of those that have been there for longest', () => {
  const members = [
    member('a', 3, ['100.64.0.3']),
    member('b', 1, ['fd7a::1', '100.64.0.1', '100.64.0.9']),
    member('c', 2, ['100.64.0.1']),
  ];
  expect(serviceAddresses(members, 8)).toEqual(['100.64.0.1', 'fd7a::1', '100.64.0.3']);
  expect(serviceAddresses(members, 1)).toEqual(['100.64.0.1', 'fd7a::1']);
  expect(serviceAddresses([], 8)).toEqual([]);
});
