import { describe, expect, test } from 'vitest';
import { parsePolicyValue } from '../file/index.ts';
import { inventory, names, tailnetOf } from './fixture.test-data.ts';
import { runSshTests, runTests, validatePolicy } from './index.ts';

describe('tests of the file', () => {
  const results = (policy: object): readonly string[] =>
    runTests(tailnetOf(policy)).flatMap(({ errors }) => errors);
  const grants = [
    { src: ['alice@example.com'], dst: ['tag:web'], ip: ['tcp:443'] },
    { src: ['group:dev'], dst: ['office'], ip: ['tcp:22'] },
    { src: ['*'], dst: ['tag:db'], ip: ['icmp:*'] },
  ];

  test('say what was wanted and what is', () => {
    const src = 'alice@example.com';
    expect(
      results({
        grants,
        tests: [{ src, accept: ['tag:web:443'], deny: ['tag:web:22', 'tag:db:443'] }],
      }),
    ).toEqual([]);
    expect(
      results({ grants, tests: [{ src, accept: ['tag:web:22'], deny: ['tag:web:443'] }] }),
    ).toEqual([
      'address "tag:web:22": want: Accept, got: Drop',
      'address "tag:web:443": want: Drop, got: Accept',
    ]);
  });

  test('hold for every member of a group; part of them is neither accept nor deny', () => {
    const tests = [{ src: 'group:dev', accept: ['tag:web:443'], deny: ['tag:web:443'] }];
    expect(results({ grants, tests })).toEqual([
      'address "tag:web:443": want: Accept, got: Accept for 2 of 3 pairs of machines',
      'address "tag:web:443": want: Drop, got: Accept for 2 of 3 pairs of machines',
    ]);
  });

  test('ask with a protocol, ICMP with port 0', () => {
    const src = 'bob@example.com';
    expect(results({ grants, tests: [{ src, proto: 'icmp', accept: ['tag:db:0'] }] })).toEqual([]);
    expect(
      results({ grants, tests: [{ src, proto: 'icmp', accept: ['tag:db:22'] }] }),
    ).toHaveLength(1);
    expect(
      results({
        grants,
        tests: [{ src: 'alice@example.com', proto: 'udp', deny: ['tag:web:443'] }],
      }),
    ).toEqual([]);
  });

  test.each([
    { accept: ['tag:web:443'] },
    { src: 'alice@example.com' },
    { src: 'nobody@example.com', accept: ['tag:web:443'] },
    { src: 'group:x', accept: ['tag:web:443'] },
    { src: 'alice@example.com', accept: ['tag:x:443'] },
    { src: 'alice@example.com', accept: ['office:22'] },
    { src: 'alice@example.com', accept: ['10.0.1.0/24:22'] },
    { src: 'alice@example.com', accept: ['tag:web:443,80'] },
    { src: 'alice@example.com', accept: ['tag:web:*'] },
    { src: 'alice@example.com', deny: ['autogroup:internet:443'] },
    { src: 'tag:db', deny: ['autogroup:self:22'] },
    { src: 'alice@example.com', proto: 'x', accept: ['tag:web:443'] },
  ])('%j fails', (one) => {
    const parsed = parsePolicyValue({ ...names, grants, tests: [one] });
    const { refusal } = validatePolicy(parsed, inventory);
    expect(refusal).toMatch(/^test\(s\) failed: /);
  });

  test('posture attributes of the test stand for those of the device', () => {
    const postures = { 'posture:mac': ["node:os == 'macos'"] };
    const rules = [
      { src: ['bob@example.com'], dst: ['tag:web'], ip: ['22'], srcPosture: ['posture:mac'] },
    ];
    const one = (srcPostureAttrs: object, want: object): readonly string[] =>
      results({
        postures,
        grants: rules,
        tests: [{ src: 'bob@example.com', srcPostureAttrs, ...want }],
      });
    expect(one({ 'node:os': 'macos' }, { accept: ['tag:web:22'] })).toEqual([]);
    expect(one({ 'node:os': 'linux' }, { deny: ['tag:web:22'] })).toEqual([]);
    expect(one({}, { deny: ['tag:web:22'] })).toEqual([]);
  });
});

describe('sshTests of the file', () => {
  const ssh = [
    { action: 'check', src: ['group:dev'], dst: ['tag:web'], users: ['ubuntu'] },
    { action: 'accept', src: ['alice@example.com'], dst: ['tag:web'], users: ['root'] },
  ];
  const errors = (one: object): number =>
    runSshTests(
      tailnetOf({ ssh, sshTests: [{ src: 'alice@example.com', dst: ['tag:web'], ...one }] }),
    ).flatMap((outcome) => outcome.errors).length;

  test('accept, check and deny', () => {
    expect(errors({ accept: ['root', 'ubuntu'], check: ['ubuntu'], deny: ['nobody'] })).toBe(0);
    expect(errors({ check: ['root'] })).toBe(1);
    expect(errors({ deny: ['root'] })).toBe(1);
    expect(errors({ accept: [''] })).toBe(1);
    expect(errors({ src: 'group:dev', accept: ['root'] })).toBe(1);
    expect(errors({})).toBe(1);
    expect(errors({ dst: ['100.64.0.5'], accept: ['root'] })).toBe(0);
    expect(errors({ dst: ['fd7a:115c:a1e0::5'], accept: ['root'] })).toBe(1);
  });

  test.each([
    ['autogroup:internet', 'SSH tests dst contains disallowed element "autogroup:internet"'],
    ['10.0.0.0/8', 'SSH tests dst contains disallowed element "10.0.0.0/8"'],
    ['tag:web:22', 'SSH tests dst contains unknown tag "tag:web:22"'],
  ])('%s is refused as a destination', (dst, message) => {
    const sshTests = [{ src: 'alice@example.com', dst: [dst], accept: ['root'] }];
    expect(validatePolicy(parsePolicyValue({ ...names, ssh, sshTests }), inventory).refusal).toBe(
      message,
    );
  });
});

test('domains of other tailnets are refused, unknown people are a warning', () => {
  const ssh = [{ action: 'accept', src: ['user:*@x.org'], dst: ['tag:web'], users: ['root'] }];
  const grants = [{ src: ['ghost@example.com'], dst: ['*'], ip: ['*'] }];
  const { refusal, findings } = validatePolicy(
    parsePolicyValue({ ...names, ssh, grants }),
    inventory,
  );
  expect(refusal).toBe(
    'x.org is not associated with this Tailnet and cannot be used in user:*@<domain> expressions',
  );
  expect(findings.map(({ message }) => message)).toContain('user not found: "ghost@example.com"');
});
