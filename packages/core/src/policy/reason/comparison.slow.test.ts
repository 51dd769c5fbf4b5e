import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { isSameFamily } from './atoms.ts';
import { comparePolicies } from './comparison.ts';
import { admitsPacket } from './opening.ts';
import { anyPolicy, fileOf, smallTailnet } from './testing/policies.ts';
import { nodeAdmits } from './wire-check.ts';

const packets = [
  [6, 22],
  [6, 80],
  [6, 443],
  [6, 5432],
  [6, 1500],
  [6, 9],
  [17, 53],
  [17, 443],
  [1, 0],
  [132, 9],
  [47, 0],
] as const;

test('10,000 random pairs of policies: relation, changes and compiled filters agree on every packet', () => {
  fc.assert(
    fc.property(anyPolicy, anyPolicy, fc.infiniteStream(fc.nat()), (before, after, choices) => {
      const comparison = comparePolicies(fileOf(before), fileOf(after), smallTailnet);
      const forms = comparison.normalForms();
      expect(forms.before === forms.after).toBe(comparison.isEquivalent);
      const pick = (n: number): number => choices.next().value % n;
      const { sources, targets } = comparison.atoms;
      for (let i = 0; i < 40; i += 1) {
        const source = sources[pick(sources.length)]!;
        const target = targets[pick(targets.length)]!;
        if (!isSameFamily(source, target)) continue;
        const [was, is] = [comparison.before, comparison.after].map((relation) =>
          packets.map(([protocol, port]) => {
            const packet = { source: source.addr, target: target.addr, protocol, port };
            const admitted = nodeAdmits(relation.tailnet, target.nodeId, packet);
            const { opening } = relation.access(source, target);
            expect(admitsPacket(opening, protocol, port)).toBe(admitted);
            return admitted;
          }),
        );
        const told = comparison.changes.filter(
          ({ kind, sourceAtoms: from, targetAtoms: to }) =>
            kind === 'network' && from.includes(source.id) && to.includes(target.id),
        );
        for (const [n, admitted] of is!.entries()) {
          if (admitted === was![n]) continue;
          expect(told.map(({ change }) => change)).toContain(admitted ? 'added' : 'removed');
        }
      }
    }),
    { numRuns: 10_000 },
  );
});
