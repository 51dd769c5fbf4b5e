import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAddr } from '../../base/netip/index.ts';
import type { Principal } from '../../identity/index.ts';
import { AccessIndex } from '../access/index.ts';
import type { InventoryNode } from '../compile/inventory.ts';
import { compileTailnet } from '../compile/tailnet.ts';
import { atomsOf } from './atoms.ts';
import { Relation } from './relation.ts';
import { anyGrant, fileOf, names, smallTailnet } from './testing/policies.ts';
import { actualWorld } from './world.ts';

const groupsOf: Readonly<Record<string, readonly string[]>> = {
  'alice@example.com': ['group:dev'],
  'bob@example.com': ['group:dev'],
  'carol@example.com': ['group:ops'],
};

/** A machine as the gateway knows it: by what WhoIs says about it. */
function principalOf(node: InventoryNode): Principal {
  const user = smallTailnet.users.find(({ id }) => id === node.userId);
  const login = user?.login ?? '';
  const selectors =
    node.tags.length > 0
      ? [...node.tags, 'autogroup:tagged']
      : user?.isShared === true
        ? [login, 'autogroup:shared']
        : [
            login,
            ...(groupsOf[login] ?? []),
            'autogroup:member',
            'user:*@example.com',
            ...(user?.roles ?? []).map((role) => `autogroup:${role}`),
          ];
  const addresses = node.addresses.map(formatAddr);
  return {
    authority: 'tailnet',
    id: node.id,
    kind: 'node',
    display: node.hostname,
    selectors,
    addresses,
  };
}

const aiGrant = fc.tuple(anyGrant, fc.boolean()).map(([grant, isAi]) => {
  const { src, dst, ip } = grant as { src: string[]; dst: string[]; ip?: string[] };
  const there = dst.filter((text) => !/^autogroup:(internet|self)$/.test(text));
  const app = { 'postern.dev/cap/ai': [{ models: ['instant'] }] };
  return isAi ? { src, dst: there, app } : { src, dst: there, ip: ip ?? ['*'] };
});

test('the gateway admits exactly the machines that the relation gives the capability on its own machine', () => {
  const gateway = smallTailnet.nodes.find(({ id }) => id === 'web')!;
  fc.assert(
    fc.property(fc.array(aiGrant, { maxLength: 5 }), (grants) => {
      const file = fileOf({ ...names, grants });
      const tailnet = compileTailnet(file, smallTailnet);
      const relation = new Relation(tailnet, atomsOf(actualWorld(smallTailnet), [tailnet]));
      const point = { selectors: ['tag:web', 'autogroup:tagged'], addresses: gateway.addresses };
      const index = new AccessIndex(file, { revision: 'r', point, inventory: smallTailnet });
      const here = relation.atoms.targets.filter(
        ({ nodeId, isOwn }) => isOwn && nodeId === gateway.id,
      );
      for (const node of smallTailnet.nodes) {
        const slot = tailnet.index.byId(node.id)?.slot;
        const given = relation.atoms.sources.some(
          (source) =>
            source.slot === slot &&
            here.some((target) =>
              relation
                .access(source, target)
                .capabilities.some((text) => text.startsWith('postern.dev/cap/ai ')),
            ),
        );
        const request = {
          model: 'instant',
          dialect: 'openai-chat',
          attested: false,
          maxOutputTokens: undefined,
        };
        const decided = index.accessOf(principalOf(node), node.postureAttributes).decideAi(request);
        expect([node.id, decided.allowed]).toEqual([node.id, given]);
      }
    }),
    { numRuns: 150 },
  );
});
