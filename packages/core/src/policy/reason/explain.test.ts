import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Addr, parseAddr } from '../../base/netip/index.ts';
import { compileTailnet, type Tailnet } from '../compile/tailnet.ts';
import { parsePolicyText } from '../file/text.ts';
import { checkAssertions } from './assertions.ts';
import { atomsOf, isSameFamily } from './atoms.ts';
import { comparePolicies } from './comparison.ts';
import { coverageOf } from './coverage.ts';
import { explainAccess } from './explain.ts';
import { openingKey } from './opening.ts';
import { reach, reachCsv, reachMatrix } from './reach.ts';
import { Relation } from './relation.ts';
import { packetBetween, selectSources, selectTargets } from './selection.ts';
import { anyPolicy, fileOf, names, smallTailnet } from './testing/policies.ts';
import { nodeAdmits } from './wire-check.ts';
import { actualWorld, worldOf } from './world.ts';

function addr(text: string): Addr {
  const parsed = parseAddr(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function tailnetOf(grants: readonly unknown[]): Tailnet {
  return compileTailnet(fileOf({ ...names, grants }), smallTailnet);
}

function relationOf(policy: unknown): Relation {
  const file = fileOf(policy);
  const world = worldOf(smallTailnet, [file]);
  const tailnet = compileTailnet(file, world.inventory);
  return new Relation(tailnet, atomsOf(world, [tailnet]));
}

const rules = [
  { src: ['group:dev'], dst: ['tag:web'], ip: ['tcp:80', 'tcp:443'] },
  { src: ['alice@example.com'], dst: ['tag:db'], ip: ['tcp:5432'], srcPosture: ['posture:new'] },
  { src: ['group:ops'], dst: ['10.0.0.0/16'], ip: ['tcp:22'] },
  { src: ['group:dev'], dst: ['autogroup:internet'], ip: ['*'], via: ['tag:router'] },
];

describe('explain', () => {
  const tailnet = tailnetOf(rules);
  const ask = (source: string, target: string, port: number): ReturnType<typeof explainAccess> =>
    explainAccess(tailnet, { source: addr(source), target: addr(target), protocol: 6, port });

  test('of an allowed access names every matching rule and how both ends match', () => {
    expect(ask('100.64.0.3', '100.64.0.6', 443)).toMatchObject({
      verdict: 'allowed',
      receiver: 'web',
      matches: [
        {
          rule: { id: '/grants/0' },
          source: 'group:dev names bob-laptop of bob@example.com',
          target: 'tag:web',
          opens: 'tcp:80,443',
        },
      ],
      nearest: [],
    });
  });

  test('of a denied access names the nearest rule first and what it lacks', () => {
    const { verdict, nearest } = ask('100.64.0.3', '100.64.0.6', 22);
    expect(verdict).toBe('denied');
    expect(nearest[0]).toMatchObject({
      rule: { id: '/grants/0' },
      failed: ['port'],
      reasons: ['tcp:22 is not in tcp:80,443'],
    });
  });

  test('says which condition of a posture is not met, and by what', () => {
    expect(ask('100.64.0.2', '100.64.0.7', 5432).nearest[0]).toMatchObject({
      failed: ['posture'],
      reasons: ["posture:new asks for node:osVersion >= '15.0': node:osVersion is not set"],
    });
    expect(ask('100.64.0.1', '100.64.0.7', 5432).verdict).toBe('allowed');
  });

  test('says that rules for people do not name a tagged machine', () => {
    expect(ask('100.64.0.7', '100.64.0.6', 443).nearest[0]?.reasons).toEqual([
      'the source is tagged tag:db, tag:prod, so rules for people do not name it',
    ]);
  });

  test('says that a route is advertised and not approved', () => {
    expect(ask('100.64.0.4', '10.9.1.1', 22)).toMatchObject({
      verdict: 'denied',
      notes: [
        '10.9.1.1 belongs to no machine and to no approved route',
        'router advertises 10.9.0.0/16, which is not approved',
      ],
    });
    expect(ask('100.64.0.4', '10.0.1.1', 22)).toMatchObject({
      verdict: 'allowed',
      receiver: 'router',
    });
  });

  test('says through which machines alone a rule holds', () => {
    expect(ask('100.64.0.3', '1.1.1.1', 443).nearest[0]).toMatchObject({
      failed: ['via'],
      reasons: ['it holds only through tag:router, not exit'],
    });
  });

  test('says that a capability without an open port is of no use', () => {
    const app = { 'example.com/cap/a': [{ role: 'admin' }] };
    const granted = tailnetOf([{ src: ['group:dev'], dst: ['tag:web'], app }]);
    const answer = explainAccess(granted, {
      source: addr('100.64.0.3'),
      target: addr('100.64.0.6'),
      protocol: 6,
      port: 443,
    });
    expect(answer).toMatchObject({
      verdict: 'denied',
      capabilities: app,
      capabilityRules: [{ id: '/grants/0' }],
      notes: ['capabilities are granted, but a program sees the caller only where a port is open'],
    });
  });

  test('can be asked in the words of the policy', () => {
    const relation = relationOf({ ...names, grants: rules });
    const packet = packetBetween(relation, 'bob-laptop', 'tag:web', { protocol: 6, port: 443 });
    expect(packet).toEqual({
      ok: true,
      value: { source: addr('100.64.0.3'), target: addr('100.64.0.6'), protocol: 6, port: 443 },
    });
    const v6 = packetBetween(relation, '100.64.0.3', 'fd7a:115c:a1e0::7', { protocol: 6, port: 1 });
    expect(v6.ok ? '' : v6.error).toBe(
      '"100.64.0.3" and "fd7a:115c:a1e0::7" have no family of addresses in common',
    );
  });

  test('shows the line of the rule in the text', () => {
    const text =
      '{\n  "tagOwners": {"tag:web": []},\n  "grants": [\n    // why\n    {"src": ["*"], "dst": ["tag:web"], "ip": ["*"]},\n  ],\n}\n';
    const { file } = parsePolicyText(text);
    const answer = explainAccess(compileTailnet(file, smallTailnet), {
      source: addr('100.64.0.3'),
      target: addr('100.64.0.6'),
      protocol: 6,
      port: 1,
    });
    expect(answer.matches[0]?.rule).toEqual({ id: '/grants/0', line: 5, column: 5 });
  });

  test('agrees with the compiled filters about every packet', () => {
    fc.assert(
      fc.property(anyPolicy, fc.infiniteStream(fc.nat()), (policy, choices) => {
        const file = fileOf(policy);
        const compiled = compileTailnet(file, smallTailnet);
        const atoms = atomsOf(actualWorld(smallTailnet), [compiled]);
        const pick = (n: number): number => choices.next().value % n;
        for (let i = 0; i < 40; i += 1) {
          const source = atoms.sources[pick(atoms.sources.length)]!;
          const target = atoms.targets[pick(atoms.targets.length)]!;
          if (!isSameFamily(source, target)) continue;
          const packet = {
            source: source.addr,
            target: target.addr,
            protocol: 6,
            port: [22, 443, 5432][pick(3)]!,
          };
          const answer = explainAccess(compiled, packet);
          const receivers = atoms.targets.filter(({ addr: at }) => at.key === target.addr.key);
          const admits = receivers.some(({ nodeId }) => nodeAdmits(compiled, nodeId, packet));
          if (answer.verdict === 'allowed') expect(answer.matches).not.toEqual([]);
          // Of several routers to an address, the exit node among them counts only without a subnet router.
          if (receivers.length === 1) expect(answer.verdict).toBe(admits ? 'allowed' : 'denied');
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('reach', () => {
  const relation = relationOf({ ...names, grants: rules });

  test('from a machine lists what it reaches, folded', () => {
    const from = selectSources(relation, 'bob-laptop');
    expect(from.ok ? reach(relation, { from: from.value }) : from.error).toMatchObject([
      {
        sources: ['bob-laptop'],
        targets: ['web', 'a device with tag:web'],
        network: 'tcp:80,443',
        rules: [{ id: '/grants/0' }],
      },
      {
        targets: ['the internet through a device with tag:router'],
        network: '*',
        rules: [{ id: '/grants/3' }],
      },
    ]);
  });

  test('to a machine lists who reaches it', () => {
    const to = selectTargets(relation, 'tag:db');
    const rows = to.ok ? reach(relation, { to: to.value }) : [];
    expect(rows).toHaveLength(1);
    expect(rows[0]?.sources[0]).toBe('alice-laptop');
    expect(rows[0]?.network).toBe('tcp:5432');
  });

  test('is the same matrix whatever the order, the comments and the layout of the file', () => {
    const text = JSON.stringify({ ...names, grants: rules });
    const commented = `// policy\n${JSON.stringify({ ...names, grants: rules.toReversed() }, null, 2).replaceAll('\n', ' // x\n')}\n`;
    const [one, two] = [text, commented].map((source) => {
      const parsed = parsePolicyText(source);
      expect(parsed.accepted).toBe(true);
      return parsed.file;
    });
    const comparison = comparePolicies(one!, two!, smallTailnet);
    expect(reachMatrix(comparison.before)).toEqual(reachMatrix(comparison.after));
    expect(comparison.changes).toEqual([]);
  });

  test('has a row for exactly the pairs with some access', () => {
    fc.assert(
      fc.property(anyPolicy, (policy) => {
        const random = relationOf(policy);
        const rows = reach(random);
        for (const source of random.atoms.sources.slice(0, 20)) {
          for (const target of random.atoms.targets.slice(0, 20)) {
            if (!isSameFamily(source, target)) continue;
            const { opening } = random.access(source, target);
            if (openingKey(opening) === '////0') continue;
            expect(
              rows.some(
                ({ sources, targets }) =>
                  (source.region !== undefined || sources.includes(source.label)) &&
                  (target.region !== undefined || targets.includes(target.label)),
              ),
            ).toBe(true);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  test('as CSV quotes what needs it and defuses formulas', () => {
    const row = {
      sources: ['=cmd'],
      targets: ['a, b'],
      network: '*',
      capabilities: ['n {"a":1}'],
      ssh: [],
      rules: [],
      isUnusable: false,
    };
    expect(reachCsv([row])).toBe(
      `sources,targets,network,capabilities,ssh,rules\r\n'=cmd,"a, b",*,"n {""a"":1}",,\r\n`,
    );
  });
});

describe('coverage', () => {
  test('finds dead and redundant rules and rules without a test', () => {
    const relation = relationOf({
      ...names,
      grants: [
        { src: ['group:dev'], dst: ['tag:web'], ip: ['tcp:443'] },
        { src: ['bob@example.com'], dst: ['tag:web'], ip: ['tcp:443'] },
        { src: [], dst: ['tag:web'], ip: ['tcp:443'] },
        { src: ['carol@example.com'], dst: ['tag:db'], ip: ['tcp:5432'] },
      ],
      tests: [{ src: 'bob@example.com', accept: ['tag:web:443'], deny: ['tag:db:5432'] }],
    });
    const { rules: covered, acceptRatio } = coverageOf(relation);
    expect(covered.map(({ isDead, isRedundant }) => [isDead, isRedundant])).toEqual([
      [false, false],
      [false, true],
      [true, false],
      [false, false],
    ]);
    expect(covered.map(({ acceptTests }) => acceptTests.length > 0)).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(covered[3]?.denyTests).toEqual([0]);
    expect(acceptRatio).toBe(0.5);
  });
});

describe('assertions', () => {
  const relation = relationOf({ ...names, grants: rules });
  const outcome = (assertion: Parameters<typeof checkAssertions>[1][number]): string | undefined =>
    checkAssertions(relation, [assertion])[0]?.why;

  test('hold for everyone whom the words could mean', () => {
    expect(
      outcome({ expect: 'allow', from: ['group:dev'], to: ['tag:web'], ports: ['tcp:443'] }),
    ).toBeUndefined();
    expect(
      outcome({ expect: 'only', from: ['group:dev'], to: ['tag:web'], ports: ['tcp:443'] }),
    ).toBeUndefined();
    expect(outcome({ expect: 'deny', from: ['tag:web'], to: ['tag:db'] })).toBeUndefined();
  });

  test('name the pair that contradicts them', () => {
    expect(
      outcome({ expect: 'only', from: ['bob@example.com'], to: ['tag:web'], ports: ['tcp:443'] }),
    ).toMatch(/^open from alice-laptop \(100\.64\.0\.1\) to web \(100\.64\.0\.6\) by grants\[0\]$/);
    expect(
      outcome({
        expect: 'allow',
        from: ['alice@example.com'],
        to: ['tag:db'],
        ports: ['tcp:5432'],
      }),
    ).toMatch(/^not open from alice-phone/);
    expect(outcome({ expect: 'deny', from: ['nobody'], to: ['tag:db'] })).toBe(
      '"nobody" names nothing',
    );
  });
});
