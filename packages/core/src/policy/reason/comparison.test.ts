import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSameFamily } from './atoms.ts';
import { comparePolicies } from './comparison.ts';
import { anyAcl, anyGrant, anyPolicy, fileOf, names, smallTailnet } from './testing/policies.ts';
import { nodeAdmits } from './wire-check.ts';

const packets = [
  [6, 22],
  [6, 80],
  [6, 443],
  [6, 5432],
  [6, 9],
  [17, 53],
  [17, 443],
  [1, 0],
  [132, 9],
  [47, 0],
] as const;

function compare(before: unknown, after: unknown): ReturnType<typeof comparePolicies> {
  return comparePolicies(fileOf(before), fileOf(after), smallTailnet);
}

describe('comparing two policies', () => {
  test('agrees with packets sent at random, and every witness is confirmed by the compiled rules', () => {
    fc.assert(
      fc.property(anyPolicy, anyPolicy, fc.infiniteStream(fc.nat()), (before, after, choices) => {
        const comparison = compare(before, after);
        const pick = (n: number): number => choices.next().value % n;
        const { sources, targets } = comparison.atoms;
        for (let i = 0; i < 60; i += 1) {
          const source = sources[pick(sources.length)]!;
          const target = targets[pick(targets.length)]!;
          if (!isSameFamily(source, target)) continue;
          const [was, is] = [comparison.before, comparison.after].map(({ tailnet }) =>
            packets.map(([protocol, port]) =>
              nodeAdmits(tailnet, target.nodeId, {
                source: source.addr,
                target: target.addr,
                protocol,
                port,
              }),
            ),
          );
          const told = comparison.changes.filter(
            ({ kind, sourceAtoms: from, targetAtoms: to }) =>
              kind === 'network' && from.includes(source.id) && to.includes(target.id),
          );
          const isAdded = is!.some((admitted, n) => admitted && !was![n]);
          const isRemoved = was!.some((admitted, n) => admitted && !is![n]);
          if (isAdded) expect(told.map(({ change }) => change)).toContain('added');
          if (isRemoved) expect(told.map(({ change }) => change)).toContain('removed');
        }
      }),
      { numRuns: 60 },
    );
  });

  test('finds nothing exactly when the normal forms are equal', () => {
    fc.assert(
      fc.property(anyPolicy, anyPolicy, (before, after) => {
        const comparison = compare(before, after);
        const forms = comparison.normalForms();
        expect(forms.before === forms.after).toBe(comparison.isEquivalent);
        expect(comparison.isEquivalent).toBe(
          comparison.beforeImpliesAfter && comparison.afterImpliesBefore,
        );
      }),
      { numRuns: 40 },
    );
  });

  test('finds nothing between a policy and itself with its rules in another order', () => {
    const withOrder = fc
      .array(anyGrant, { maxLength: 5 })
      .chain((grants) =>
        fc.tuple(fc.constant(grants), fc.shuffledSubarray(grants, { minLength: grants.length })),
      );
    fc.assert(
      fc.property(withOrder, ([grants, shuffled]) => {
        const comparison = compare({ ...names, grants }, { ...names, grants: shuffled });
        expect(comparison.changes).toEqual([]);
        const forms = comparison.normalForms();
        expect(forms.before).toBe(forms.after);
      }),
      { numRuns: 30 },
    );
  });

  test('finds nothing between a policy and itself with its groups renamed', () => {
    const renamed = (value: unknown): unknown =>
      JSON.parse(
        JSON.stringify(value)
          .replaceAll('group:dev', 'group:zz')
          .replaceAll('group:ops', 'group:aa'),
      );
    fc.assert(
      fc.property(anyPolicy, (policy) => {
        const comparison = compare(policy, renamed(policy));
        expect(comparison.changes).toEqual([]);
        const forms = comparison.normalForms();
        expect(forms.before).toBe(forms.after);
      }),
      { numRuns: 30 },
    );
  });

  test('never finds that a further grant takes something away', () => {
    fc.assert(
      fc.property(fc.array(anyGrant, { maxLength: 4 }), anyGrant, (grants, more) => {
        const comparison = compare({ ...names, grants }, { ...names, grants: [...grants, more] });
        expect(comparison.beforeImpliesAfter).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('finds nothing between ACLs and the grants that say the same', () => {
    fc.assert(
      fc.property(fc.array(anyAcl, { maxLength: 4 }), (acls) => {
        const grants = acls.flatMap((acl) => grantsOfAcl(acl));
        expect(compare({ ...names, acls }, { ...names, grants }).changes).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

/** One grant for each destination: several destinations in one grant would multiply with its ports. */
function grantsOfAcl(acl: Record<string, unknown>): readonly Record<string, unknown>[] {
  const { src, dst, proto, srcPosture } = acl as {
    src: string[];
    dst: string[];
    proto?: string;
    srcPosture?: string[];
  };
  return dst.map((text) => {
    const colon = text.lastIndexOf(':');
    const host = text.slice(0, colon).replace(/^\[|\]$/g, '');
    const port = text.slice(colon + 1);
    const ip = [proto === undefined ? port : `${proto}:${port}`];
    return srcPosture === undefined
      ? { src, dst: [host], ip }
      : { src, dst: [host], ip, srcPosture };
  });
}

describe('a change', () => {
  const base = { ...names, grants: [{ src: ['group:dev'], dst: ['tag:web'], ip: ['tcp:443'] }] };

  test('names sources, targets, ports, a witness and the rule with its place', () => {
    const after = {
      ...names,
      grants: [...base.grants, { src: ['group:ops'], dst: ['tag:db'], ip: ['tcp:5432'] }],
    };
    const { changes } = compare(base, after);
    expect(changes).toHaveLength(1);
    expect(changes[0]).toMatchObject({
      change: 'added',
      kind: 'network',
      sources: ['carol-laptop', 'a device of carol@example.com'],
      targets: ['db', 'a device with tag:db'],
      what: 'tcp:5432',
      witness: {
        source: { label: 'carol-laptop', address: '100.64.0.4', nodeId: 'carol-laptop' },
        target: { label: 'db', address: '100.64.0.7' },
        packet: { protocol: 6, port: 5432 },
        rules: [{ id: '/grants/1' }],
      },
    });
  });

  test('is seen for a tag that no device has yet', () => {
    const after = {
      ...names,
      grants: [...base.grants, { src: ['tag:unused'], dst: ['tag:db'], ip: ['*'] }],
    };
    expect(compare(base, after).changes[0]).toMatchObject({
      change: 'added',
      sources: ['a device with tag:unused'],
      what: '*',
    });
  });

  test('is seen when the last rule goes and the file fails open', () => {
    const { changes } = compare({ ...names, grants: [] }, names);
    expect(changes.every(({ change }) => change === 'added')).toBe(true);
    expect(changes[0]?.witness.rules[0]?.id).toBe('/');
  });

  test('of a posture is told by a device that meets it or not', () => {
    const grant = {
      src: ['group:dev'],
      dst: ['tag:web'],
      ip: ['tcp:443'],
      srcPosture: ['posture:mac'],
    };
    const { changes } = compare(base, { ...names, grants: [grant] });
    expect(changes).toHaveLength(1);
    expect(changes[0]).toMatchObject({ change: 'removed', what: 'tcp:443' });
    expect(changes[0]?.sources).not.toContain('alice-laptop');
    expect(changes[0]?.sources).toContain('bob-laptop');
  });

  test('of a capability object is told even where the network stays the same', () => {
    const app = (role: string): unknown => ({
      ...names,
      grants: [
        {
          src: ['group:dev'],
          dst: ['tag:web'],
          ip: ['*'],
          app: { 'example.com/cap/a': [{ role }] },
        },
      ],
    });
    expect(
      compare(app('reader'), app('admin')).changes.map(({ change, what }) => [change, what]),
    ).toEqual([
      ['added', 'example.com/cap/a {"role":"admin"}'],
      ['removed', 'example.com/cap/a {"role":"reader"}'],
    ]);
  });

  test('of port 0 alone, which "*" has and no range can name, is told', () => {
    const of = (ip: string): unknown => ({
      ...names,
      grants: [{ src: ['group:dev'], dst: ['tag:web'], ip: [ip] }],
    });
    expect(compare(of('tcp:*'), of('tcp:1-65535')).changes).toMatchObject([
      { change: 'removed', what: 'tcp:0', witness: { packet: { port: 0 } } },
    ]);
  });

  test('from a check to an accept is more access', () => {
    const ssh = (action: string): unknown => ({
      ...base,
      ssh: [{ action, src: ['group:dev'], dst: ['tag:web'], users: ['root'] }],
    });
    expect(compare(ssh('check'), ssh('accept')).changes).toMatchObject([
      { change: 'added', kind: 'ssh', what: 'accept root' },
    ]);
  });
});
