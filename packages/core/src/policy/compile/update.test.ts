import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeOf, shown, tailnetOf } from './fixture.test-data.ts';
import { change, distinct, node, policy, users } from './testing/random-policies.ts';
import type { Tailnet } from './tailnet.ts';

function told(tailnet: Tailnet, id: string): string {
  return JSON.stringify([
    shown(tailnet, id)
      .map((rule) => rule.split(' ').sort().join(' '))
      .sort(),
    tailnet
      .sshOf(id, '')
      .map(({ principals, sshUsers }) => [principals.map(({ nodeIP }) => nodeIP).sort(), sshUsers]),
  ]);
}

test('after any changes a tailnet is what compiling its inventory anew gives, and says whom that concerns', () => {
  fc.assert(
    fc.property(
      policy,
      fc.array(node, { maxLength: 6 }),
      fc.array(change, { minLength: 1, maxLength: 5 }),
      (file, start, changes) => {
        const written = JSON.parse(JSON.stringify(file)) as object;
        let nodes = distinct(start);
        let tailnet = tailnetOf(written, { users, nodes });
        for (const one of changes) {
          const before = new Map(nodes.map(({ id }) => [id, told(tailnet, id)]));
          const id = one.kind === 'put' ? one.node.id : one.id;
          nodes = nodes.filter((other) => other.id !== id);
          if (one.kind === 'put') nodes = [...nodes, one.node];
          const update = tailnet.update(one);
          tailnet = update.tailnet;
          const fresh = tailnetOf(written, { users, nodes });
          for (const { id: other } of nodes) {
            const now = told(tailnet, other);
            expect(now).toBe(told(fresh, other));
            if (!update.affected.includes(other)) expect(now).toBe(before.get(other));
          }
        }
      },
    ),
    { numRuns: 400 },
  );
});

test('a change of one machine concerns only those that name it', () => {
  const tailnet = tailnetOf({
    grants: [{ src: ['alice@example.com'], dst: ['tag:web'], ip: ['80'] }],
  });
  const add = tailnet.update({ kind: 'put', node: nodeOf('tablet', 20, { user: 'alice' }) });
  expect([...add.affected].sort()).toEqual(['tablet', 'web']);
  expect(shown(add.tailnet, 'web')[0]).toContain('100.64.0.20');
  expect(shown(tailnet, 'web')[0]).not.toContain('100.64.0.20');
  const other = tailnet.update({ kind: 'put', node: nodeOf('box', 21, { tags: ['tag:db'] }) });
  expect(other.affected).toEqual(['box']);
  expect(tailnet.update({ kind: 'remove', id: 'nobody' }).affected).toEqual([]);
});
