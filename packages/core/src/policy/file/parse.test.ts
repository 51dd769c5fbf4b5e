import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePolicyText, parsePolicyValue } from './index.ts';

const tags = { 'tag:web': [], 'tag:router': [] };

function refusal(policy: object): string | undefined {
  return parsePolicyValue({ tagOwners: tags, ...policy }).refusal;
}

function acl(rule: object): object {
  return { acls: [{ action: 'accept', src: ['*'], dst: ['*:*'], ...rule }] };
}

function grant(rule: object): object {
  return { grants: [{ src: ['*'], dst: ['*'], ip: ['*'], ...rule }] };
}

function ssh(rule: object): object {
  return {
    ssh: [
      { action: 'accept', src: ['autogroup:member'], dst: ['tag:web'], users: ['root'], ...rule },
    ],
  };
}

describe('a refused policy says what the hosted service says', () => {
  test.each([
    [acl({ action: 'deny' }), 'action="deny" is not supported'],
    [acl({ src: ['tag:x'] }), 'src=tag not found: "tag:x"'],
    [acl({ dst: ['tag:x:22'] }), 'dst="tag:x": tag not found: "tag:x"'],
    [acl({ src: ['group:x'] }), 'src=group not found: "group:x"'],
    [acl({ dst: ['tag:web:ssh'] }), 'dst="tag:web:ssh": port range "ssh": invalid first integer'],
    [acl({ dst: ['tag:web:0'] }), "first port must be >0, or use '*' for wildcard"],
    [acl({ dst: ['tag:web:9-8'] }), 'first port must be >= last port'],
    [acl({ dst: ['tag:web:1-2-3'] }), 'too many dashes(-)'],
    [acl({ dst: ['web'] }), 'hostport must contain a colon (":")'],
    [acl({ src: ['autogroup:self'] }), '"autogroup:self" not valid on the src side of a rule'],
    [
      acl({ src: ['tag:web'], dst: ['autogroup:self:*'] }),
      'autogroup:self can only be used with users, groups, or supported autogroups',
    ],
    [acl({ proto: '*' }), 'proto name "*" not known'],
    [acl({ proto: '06' }), 'leading 0 not permitted in protocol number'],
    [acl({ proto: 'icmp', dst: ['*:22'] }), 'protocol does not support specific ports'],
    [grant({ ip: [] }), 'ip and app can not both be empty'],
    [grant({ ip: ['icmp'] }), 'port range "icmp": invalid first integer'],
    [grant({ ip: ['tcp:80:90'] }), 'proto name "tcp:80" not known; use protocol number 0-255'],
    [grant({ dst: ['autogroup:danger-all'] }), 'cannot use autogroup:danger-all as a dst'],
    [
      grant({ dst: ['0.0.0.0/0'] }),
      'dst "0.0.0.0/0": to allow all IP addresses, use "*" or "autogroup:internet"',
    ],
    [grant({ dst: ['autogroup:self'] }), 'autogroup:self can only be used with'],
    [grant({ via: ['autogroup:tagged'] }), 'via can only be a tag'],
    [grant({ via: ['tag:x'] }), 'tag "tag:x" not found'],
    [
      grant({ dst: ['autogroup:internet'], app: { 'example.com/cap/x': [{}] } }),
      'cannot use app grants with autogroup:internet',
    ],
    [
      grant({ app: { 'https://example.com/cap': [{}] } }),
      'capability name must have the form {domain}/{path}',
    ],
    [
      grant({ app: { 'tailscale.com/cap/ingress': [{}] } }),
      'capability name must not be in the tailscale.com domain',
    ],
    [
      { groups: { 'group:b': ['group:a'] } },
      'groups["group:b"]: "group:a": group members cannot be recursive',
    ],
    [
      { tagOwners: { 'tag:1': [] } },
      'tagOwners["tag:1"]: tag names must start with a letter, after \'tag:\'',
    ],
    [{ hosts: { db: '10.0.0.256' } }, 'hosts["db"]: "10.0.0.256": invalid address'],
    [ssh({ action: undefined }), 'action must be specified'],
    [ssh({ action: 'Accept' }), '"Accept" is not a valid action'],
    [ssh({ users: [] }), 'users must be specified'],
    [ssh({ users: ['*'] }), 'user "*" is not valid'],
    [ssh({ acceptEnv: [''] }), 'acceptEnv values cannot be empty'],
    [
      ssh({ action: 'check', checkPeriod: '168h0m1s' }),
      'checkPeriod 168h0m1s is above the max (168h)',
    ],
    [ssh({ action: 'check', checkPeriod: '-1m' }), 'checkPeriod -1m0s must be a positive duration'],
    [ssh({ action: 'check', checkPeriod: 'abc' }), 'time: invalid duration "abc"'],
    [ssh({ dst: ['*'] }), 'invalid dst "*"'],
    [ssh({ dst: ['srv'] }), 'invalid dst "srv"'],
    [ssh({ src: ['10.0.0.1'] }), 'invalid src "10.0.0.1"'],
    [
      ssh({ src: ['tag:web'], dst: ['autogroup:self'] }),
      'tags in SSH source cannot access autogroup:self',
    ],
    [{ nodeAttrs: [{ target: ['%x%'], attr: ['a'] }] }, '"%x%": invalid address'],
    [
      { nodeAttrs: [{ target: ['*'], ipPool: ['100.100.100.0/24'] }] },
      'IPPool(100.100.100.0/24): network within reserved range',
    ],
    [{ rules: [] }, 'unknown field "rules"'],
    [grant({ action: 'accept' }), 'unknown field "action"'],
    [grant({ src: '*' }), 'src must be an array, not string'],
  ])('%j', (policy, message) => {
    expect(refusal(policy)).toContain(message);
  });
});

describe('what the service accepts is accepted', () => {
  test.each([
    acl({ users: ['*'], src: undefined }),
    acl({ dst: ['[fd7a:115c:a1e0::1]:22', 'fd7a:115c:a1e0::/64:*'] }),
    acl({ src: ['*'], dst: ['autogroup:self:*'] }),
    acl({ proto: '' }),
    grant({ ip: undefined, app: { 'example.com/cap/x': [] } }),
    grant({ dst: [] }),
    ssh({ users: [' root', 'localpart:foo', 'autogroup:internet'] }),
    ssh({ action: ' accept', acceptEnv: null, checkPeriod: null }),
    ssh({ action: 'check', checkPeriod: '0s' }),
    ssh({ src: ['user:*@example.com'] }),
    { tagOwners: { ...tags, 'tag:a': ['tag:b'], 'tag:b': ['tag:a'] } },
    { RandomizeClientPort: true },
  ])('%j', (policy) => {
    expect(refusal(policy)).toBeUndefined();
  });
});

test('a finding points to the line and column of the text', () => {
  const text =
    '{\n  // who\n  "grants": [\n    {"src": ["*"], "dst": ["tag:x"], "ip": ["*"]},\n  ],\n}\n';
  const { findings, accepted } = parsePolicyText(text);
  expect(accepted).toBe(false);
  expect(findings).toEqual([
    {
      code: 'undefined_name',
      severity: 'error',
      message: 'dst="tag:x": tag not found: "tag:x"',
      pointer: '/grants/0/dst/0',
      line: 4,
      column: 28,
    },
  ]);
});

test('a text that is not HuJSON gives the place of the mistake', () => {
  const { refusal: message, findings } = parsePolicyText('{"grants": [}');
  expect(message).toMatch(/^line 1, column 13: /);
  expect(findings[0]).toMatchObject({ code: 'syntax', line: 1, column: 13 });
});

test('an empty text is refused: saving it would reset the policy to allow everything', () => {
  expect(parsePolicyText('').accepted).toBe(false);
  expect(parsePolicyText(' \n').accepted).toBe(false);
});

test('a section given twice, also in another case, is an error', () => {
  expect(parsePolicyText('{"grants": [], "Grants": []}').refusal).toBe('"grants" is given twice');
});

test('__proto__ is a name like any other', () => {
  const { file, accepted } = parsePolicyText(
    '{"hosts": {"__proto__": "10.0.0.1"}, "grants": [{"src": ["__proto__"], "dst": ["*"], "ip": ["*"]}]}',
  );
  expect(accepted).toBe(true);
  expect([...file.hosts.keys()]).toEqual(['__proto__']);
});

test('reading is total: any JSON value gives a file and findings', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const parsed = parsePolicyValue(value);
      expect(parsed.accepted).toBe(parsed.refusal === undefined);
    }),
    { numRuns: 300 },
  );
});

test('reading is total: policies with random parts in every section', () => {
  const word = fc.constantFrom(
    '*',
    'tag:web',
    'tag:x',
    'group:a',
    'user:*@example.com',
    'a@example.com',
    'autogroup:self',
    'autogroup:member',
    'autogroup:internet',
    '10.0.0.0/8',
    '10.0.0.0/8:22',
    '[::1]:*',
    'ipset:a',
    'svc:x',
    'host',
    'posture:p',
    '',
    'tcp:1-2',
    "node:os == 'linux'",
    "node:tsVersion >= '1.60'",
    'add 10.0.0.0/8',
    'remove 10.0.0.1-10.0.0.9',
    'root',
    'check',
  );
  const leaf = fc.oneof(word, fc.string(), fc.integer(), fc.constant(null), fc.boolean());
  const list = fc.array(leaf, { maxLength: 4 });
  const map = fc.dictionary(fc.oneof(word, fc.string()), fc.oneof(list, leaf), { maxKeys: 4 });
  const names = [
    'src',
    'dst',
    'ip',
    'app',
    'via',
    'srcPosture',
    'action',
    'users',
    'target',
    'attr',
    'accept',
    'deny',
  ];
  const rule = fc.dictionary(fc.constantFrom(...names), fc.oneof(list, map, leaf));
  const policy = fc.record(
    {
      acls: fc.array(rule, { maxLength: 3 }),
      grants: fc.array(rule, { maxLength: 3 }),
      ssh: fc.array(rule, { maxLength: 3 }),
      nodeAttrs: fc.array(rule, { maxLength: 3 }),
      tests: fc.array(rule, { maxLength: 3 }),
      sshTests: fc.array(rule, { maxLength: 3 }),
      groups: map,
      hosts: map,
      ipsets: map,
      postures: map,
      tagOwners: map,
      autoApprovers: fc.oneof(map, fc.record({ routes: map, exitNode: list })),
      derpMap: fc.oneof(map, fc.record({ regions: map })),
      attrConfig: map,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(policy, (value) => {
      const text = JSON.stringify(value);
      const [ofText, ofValue] = [parsePolicyText(text), parsePolicyValue(JSON.parse(text))];
      expect(ofText.findings.map(({ message }) => message)).toEqual(
        ofValue.findings.map(({ message }) => message),
      );
    }),
    { numRuns: 300 },
  );
});
