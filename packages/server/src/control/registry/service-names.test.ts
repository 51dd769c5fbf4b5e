import type { Instance } from '@postern/core/registry';
import { registryLimits } from '@postern/core/registry';
import { expect, test } from 'vitest';
import type { InstanceChange } from './changes.ts';
import type { NamedAddress } from './service-names.ts';
import { followServiceNames } from './service-names.ts';

function instance(nodeType: string, uuid: string, address: string): Instance {
  return {
    uuid,
    nodeType,
    hostname: uuid,
    addresses: [address],
    metadata: {},
    owner: 'x',
    leaseMs: 5_000,
    registeredAtMs: 1,
    updatedAtMs: 1,
  };
}

/** A registry of which the test says who is live and well. */
function setUp(...first: readonly Instance[]) {
  let all = [...first];
  let listener: (changes: readonly InstanceChange[]) => void = () => undefined;
  const timers: (() => void)[] = [];
  const told: (readonly NamedAddress[])[] = [];
  const ending = new AbortController();
  followServiceNames({
    registry: {
      types: () => [...new Set(all.map(({ nodeType }) => nodeType))],
      discover: (type) => ({ members: all.filter(({ nodeType }) => nodeType === type) }),
      watch: (then) => (listener = then),
    },
    tell: (names) => told.push(names),
    after: (_ms, run) => {
      timers.push(run);
      return { clear: () => timers.splice(0) };
    },
    signal: ending.signal,
  });
  const become = (next: readonly Instance[]): void => {
    const changed = [...all, ...next];
    all = [...next];
    listener(changed.map((each) => ({ kind: 'updated', instance: each })));
  };
  const settle = (): void => timers.splice(0).forEach((run) => run());
  const last = (): string | undefined =>
    told
      .at(-1)
      ?.map(({ label, address }) => `${label} ${address}`)
      .join();
  return { become, settle, last, told, ending, timers };
}

const one = instance('instant', 'a', '100.64.0.1');
const two = instance('instant', 'b', '100.64.0.2');

test('names follow who joins, fails and leaves, and changes that come together are told once', () => {
  const { become, settle, last, told } = setUp(one);
  expect(last()).toBe('instant 100.64.0.1');
  become([one, two]);
  become([two]);
  settle();
  expect(last()).toBe('instant 100.64.0.2');
  expect(told).toHaveLength(2);
  become([]);
  settle();
  expect(last()).toBe('');
});

test('what changes no address is not told', () => {
  const { become, settle, told } = setUp(one);
  become([{ ...one, metadata: { model: 'm' } }]);
  settle();
  expect(told).toHaveLength(1);
});

test('types that differ in case alone share a name; what cannot be a name has none', () => {
  const { last } = setUp(
    one,
    instance('Instant', 'c', '100.64.0.3'),
    instance('odd.', 'd', '100.64.0.4'),
  );
  expect(last()).toBe('instant 100.64.0.3,instant 100.64.0.1');
});

test('there are never more than every machine of the network can hold', () => {
  const many = Array.from({ length: registryLimits.namedMax + 5 }, (_, at) =>
    instance(`type-${at}`, `n-${at}`, `100.64.${at >> 8}.${at & 255}`),
  );
  const { told } = setUp(...many);
  expect(told[0]).toHaveLength(registryLimits.namedMax);
});

test('nothing is told after the end', () => {
  const { become, settle, told, ending } = setUp(one);
  become([two]);
  ending.abort();
  settle();
  expect(told).toHaveLength(1);
});
