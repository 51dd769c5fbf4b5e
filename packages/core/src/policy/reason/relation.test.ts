import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAddr } from '../../base/netip/index.ts';
import { compileTailnet } from '../compile/tailnet.ts';
import { atomsOf, isSameFamily } from './atoms.ts';
import { canonicalText } from './canonical.ts';
import { admitsPacket } from './opening.ts';
import { Relation } from './relation.ts';
import { anyPolicy, fileOf, smallTailnet } from './testing/policies.ts';
import { effectiveLogin, exampleLogin } from './ssh-logins.ts';
import { nodeAdmits, nodeLogin } from './wire-check.ts';
import { worldOf } from './world.ts';

const packets = [
  [6, 22],
  [6, 80],
  [6, 443],
  [6, 5432],
  [6, 1500],
  [6, 9],
  [17, 53],
  [17, 443],
  [17, 1],
  [1, 0],
  [132, 9],
  [47, 0],
] as const;

test('the relation says of every packet what the compiled filters say', () => {
  fc.assert(
    fc.property(anyPolicy, fc.infiniteStream(fc.nat()), (policy, choices) => {
      const file = fileOf(policy);
      const world = worldOf(smallTailnet, [file]);
      const tailnet = compileTailnet(file, world.inventory);
      const atoms = atomsOf(world, [tailnet]);
      const relation = new Relation(tailnet, atoms);
      const pick = (n: number): number => choices.next().value % n;
      for (let i = 0; i < 150; i += 1) {
        const source = atoms.sources[pick(atoms.sources.length)]!;
        const target = atoms.targets[pick(atoms.targets.length)]!;
        if (!isSameFamily(source, target)) continue;
        const { opening } = relation.access(source, target);
        for (const [protocol, port] of packets) {
          const packet = { source: source.addr, target: target.addr, protocol, port };
          const where = `${source.label} ${formatAddr(source.addr)} -> ${target.label} ${formatAddr(target.addr)} ${protocol}/${port}`;
          expect([where, admitsPacket(opening, protocol, port)]).toEqual([
            where,
            nodeAdmits(tailnet, target.nodeId, packet),
          ]);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('the relation says of every source which capabilities WhoIs shows on a node', () => {
  fc.assert(
    fc.property(anyPolicy, (policy) => {
      const file = fileOf(policy);
      const world = worldOf(smallTailnet, [file]);
      const tailnet = compileTailnet(file, world.inventory);
      const atoms = atomsOf(world, [tailnet]);
      const relation = new Relation(tailnet, atoms);
      for (const target of atoms.targets.filter(({ isOwn }) => isOwn).slice(0, 12)) {
        for (const source of atoms.sources.slice(0, 30)) {
          if (!isSameFamily(source, target)) continue;
          const whois = tailnet.capabilitiesOf(target.nodeId, source.addr);
          const texts = Object.entries(whois).flatMap(([name, values]) =>
            (values ?? []).map((value) => `${name} ${canonicalText(value)}`),
          );
          expect(relation.access(source, target).capabilities).toEqual([...new Set(texts)].sort());
        }
      }
    }),
    { numRuns: 30 },
  );
});

test('the relation says of every login what the compiled SSH rules say', () => {
  fc.assert(
    fc.property(anyPolicy, (policy) => {
      const file = fileOf(policy);
      const world = worldOf(smallTailnet, [file]);
      const tailnet = compileTailnet(file, world.inventory);
      const atoms = atomsOf(world, [tailnet]);
      const relation = new Relation(tailnet, atoms);
      const sources = atoms.sources.filter(({ slot }) => slot !== undefined).slice(0, 40);
      for (const target of atoms.targets.filter(({ isOwn }) => isOwn).slice(0, 20)) {
        for (const source of sources.filter((candidate) => isSameFamily(candidate, target))) {
          const { ssh } = relation.access(source, target);
          const node = tailnet.index.at(source.slot ?? -1);
          for (const name of ['root', '*', 'ubuntu', 'localpart:*@example.com']) {
            const user = exampleLogin(name, node, tailnet.program.directory);
            const where = `${source.label} -> ${target.label} as ${user}`;
            const got = nodeLogin(tailnet, target.nodeId, source.addr, user);
            expect([where, effectiveLogin(ssh, name)]).toEqual([where, got]);
          }
        }
      }
    }),
    { numRuns: 30 },
  );
});
