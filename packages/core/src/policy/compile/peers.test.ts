import { describe, expect, test } from 'vitest';
import { inventory, tailnetOf } from './fixture.test-data.ts';
import { mayTagsAssignTag, mayUserAssignTag, peersOf, selectorsOf } from './index.ts';

function grant(rule: object): object {
  return { grants: [rule] };
}

describe('peers', () => {
  const peers = (rule: object, id: string): readonly string[] =>
    peersOf(tailnetOf(grant(rule)), id);

  test('are the two ends of a rule, whichever may start', () => {
    const rule = { src: ['bob@example.com'], dst: ['tag:web'], ip: ['80'] };
    expect(peers(rule, 'desk')).toEqual(['web']);
    expect(peers(rule, 'web')).toEqual(['desk']);
    expect(peers(rule, 'laptop')).toEqual([]);
    expect(peers(rule, 'nobody')).toEqual([]);
  });

  test('are not made by capabilities alone', () => {
    expect(
      peers({ src: ['*'], dst: ['tag:web'], app: { 'example.com/cap/x': [{}] } }, 'web'),
    ).toEqual([]);
  });

  test('include the router of what may be reached, or of whoever may come', () => {
    expect(peers({ src: ['tag:db'], dst: ['office'], ip: ['22'] }, 'db')).toEqual(['router']);
    expect(peers({ src: ['office'], dst: ['tag:db'], ip: ['22'] }, 'db')).toEqual(['router']);
    expect(
      peers({ src: ['tag:db'], dst: ['office'], ip: ['22'], via: ['tag:exit'] }, 'db'),
    ).toEqual([]);
    expect(peers({ src: ['tag:db'], dst: ['autogroup:internet'], ip: ['*'] }, 'db')).toEqual([
      'exit',
    ]);
  });

  test('under autogroup:self are machines of the same person', () => {
    const rule = { src: ['autogroup:member'], dst: ['autogroup:self'], ip: ['22'] };
    expect(peers(rule, 'laptop')).toEqual(['phone']);
    expect(peers(rule, 'desk')).toEqual([]);
  });

  test('are everyone where everything is open', () => {
    expect(peersOf(tailnetOf({}), 'web')).toHaveLength(inventory.nodes.length - 1);
  });
});

test('a caller of the network satisfies its login, groups, roles and domain, or its tags', () => {
  const { program } = tailnetOf({});
  expect(selectorsOf(program, { kind: 'user', login: 'Alice@example.com' })).toEqual([
    'alice@example.com',
    'group:dev',
    'autogroup:member',
    'user:*@example.com',
    'autogroup:admin',
  ]);
  expect(selectorsOf(program, { kind: 'user', login: 'eve@elsewhere.org' })).toEqual([
    'eve@elsewhere.org',
    'autogroup:shared',
  ]);
  expect(selectorsOf(program, { kind: 'user', login: 'x@y.z' })).toEqual(['x@y.z']);
  expect(selectorsOf(program, { kind: 'tagged', tags: ['tag:ci'] })).toEqual([
    'autogroup:tagged',
    'tag:ci',
  ]);
});

test('tags are given by their owners, by administrators, and by machines whose tag owns them', () => {
  const tagOwners = {
    'tag:ci': ['group:dev'],
    'tag:job': ['tag:ci'],
    'tag:web': [],
    'tag:m': ['autogroup:member'],
  };
  const over = {
    ...inventory,
    users: inventory.users.map((user) => ({
      ...user,
      roles: user.id === 'eve' ? (['admin'] as const) : [],
    })),
  };
  const { program } = tailnetOf({ tagOwners }, over);
  const may = (user: string, tag: string): boolean => mayUserAssignTag(program, user, tag);
  expect([
    may('bob', 'tag:ci'),
    may('bob', 'tag:web'),
    may('bob', 'tag:job'),
    may('bob', 'tag:m'),
  ]).toEqual([true, false, false, true]);
  expect([
    may('eve', 'tag:ci'),
    may('eve', 'tag:m'),
    may('bob', 'tag:x'),
    may('nobody', 'tag:ci'),
  ]).toEqual([false, false, false, false]);
  expect(mayUserAssignTag(tailnetOf({ tagOwners }).program, 'alice', 'tag:web')).toBe(true);
  expect(mayTagsAssignTag(program, ['tag:ci'], 'tag:job')).toBe(true);
  expect(mayTagsAssignTag(program, ['tag:job'], 'tag:job')).toBe(true);
  expect(mayTagsAssignTag(program, ['tag:job'], 'tag:ci')).toBe(false);
});
