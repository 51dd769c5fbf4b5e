import { describe, expect, test } from 'vitest';
import { inventory, names } from '../compile/fixture.test-data.ts';
import { parsePolicyValue } from '../file/index.ts';
import { checkPolicy, engineDifferences, engineFindings, engineNames } from './index.ts';

function codes(policy: object): readonly string[] {
  const { findings } = checkPolicy(parsePolicyValue({ ...names, ...policy }), { inventory });
  return findings.map(({ code, pointer }) => `${code} ${pointer}`);
}

const open = { src: ['group:dev'], dst: ['tag:web'], ip: ['80'] };

describe('traps', () => {
  test('a file with neither acls nor grants is open to everyone', () => {
    expect(codes({})).toEqual(['fail_open ']);
    expect(codes({ grants: [] })).toEqual([]);
  });

  test('a grant without dst has no effect', () => {
    expect(codes({ grants: [{ ...open, dst: [] }] })).toEqual([
      'grant_without_destination /grants/0',
    ]);
  });

  test('a rule is dead when one side names nothing', () => {
    expect(
      codes({ groups: { 'group:none': [] }, grants: [{ ...open, src: ['group:none'] }] }),
    ).toEqual(['dead_rule /grants/0']);
    const tagOwners = { 'tag:web': [], 'tag:new': [] };
    expect(codes({ tagOwners, grants: [{ ...open, src: ['*'], dst: ['tag:new'] }] })).toEqual([
      'dead_rule /grants/0',
    ]);
  });

  test('a capability needs a network rule between the same ends', () => {
    const app = { src: ['group:dev'], dst: ['tag:web'], app: { 'example.com/cap/x': [{}] } };
    expect(codes({ grants: [app] })).toEqual(['capability_without_network /grants/0']);
    expect(codes({ grants: [app, open] })).toEqual([]);
    expect(codes({ grants: [app, { ...open, src: ['*'] }] })).toEqual([]);
    expect(codes({ grants: [app, { ...open, dst: ['tag:db'] }] })).toEqual([
      'capability_without_network /grants/0',
    ]);
    expect(codes({ grants: [app, { ...open, dst: ['100.64.0.5'] }] })).toEqual([]);
  });

  test('a rule inside another one is redundant, of two equal ones the later', () => {
    expect(codes({ grants: [open, { ...open, src: ['*'], ip: ['*'] }] })).toEqual([
      'redundant_rule /grants/0',
    ]);
    expect(codes({ grants: [open, open] })).toEqual(['redundant_rule /grants/1']);
    expect(codes({ grants: [open, { ...open, ip: ['81'] }] })).toEqual([]);
    expect(codes({ grants: [open, { ...open, src: ['alice@example.com'] }] })).toEqual([
      'redundant_rule /grants/1',
    ]);
    expect(codes({ grants: [{ ...open, ip: ['tcp:80'] }, open] })).toEqual([
      'redundant_rule /grants/0',
    ]);
  });

  test('a rule inside several others together is redundant, and not where a piece is missing', () => {
    const low = { ...open, ip: ['1-100'] };
    const high = { ...open, ip: ['101-200'] };
    const across = { ...open, ip: ['50-150'] };
    expect(codes({ grants: [low, across, high] })).toEqual(['redundant_rule /grants/1']);
    expect(codes({ grants: [across, low, high] })).toEqual(['redundant_rule /grants/0']);
    expect(codes({ grants: [low, { ...open, ip: ['50-201'] }, high] })).toEqual([
      'redundant_rule /grants/2',
    ]);
    expect(codes({ grants: [low, across, { ...high, ip: ['102-200'] }] })).toEqual([]);
  });
});

test('a malformed capability object fails the check', () => {
  const app = { 'postern.dev/cap/ai': [{ models: ['*'], budget: 'x' }] };
  const checked = checkPolicy(parsePolicyValue({ ...names, grants: [{ ...open, app }] }));
  expect(checked.passed).toBe(false);
  expect(checked.findings).toMatchObject([
    {
      code: 'bad_capability',
      message: 'postern.dev/cap/ai: unknown field "budget"; the object grants nothing',
    },
  ]);
});

describe('engines', () => {
  test('every difference has an answer of each engine and differs from plain yes', () => {
    for (const { answers } of engineDifferences) {
      expect(Object.keys(answers).sort()).toEqual([...engineNames].sort());
      expect(Object.values(answers).some((answer) => answer !== 'ok')).toBe(true);
    }
  });

  test('headscale refuses ipsets and postures, and what it refuses is an error at its place', () => {
    const { file } = parsePolicyValue({
      ...names,
      ipsets: { 'ipset:a': ['10.0.0.1'] },
      postures: { 'posture:p': ["ip:country == 'DE'"] },
      grants: [{ ...open, src: ['autogroup:admin'] }],
    });
    expect(engineFindings(file, 'headscale').map(({ pointer }) => pointer)).toEqual([
      '/ipsets/ipset:a',
      '/postures/posture:p',
      '/postures/posture:p/0',
      '/grants/0/src/0',
    ]);
    expect(engineFindings(file, 'tailscale')).toEqual([]);
    expect(engineFindings(file, 'embedded')).toMatchObject([
      { severity: 'warning', pointer: '/postures/posture:p/0' },
    ]);
  });
});

test('the map of relays and the configuration of attributes are checked where they stand', () => {
  const node = { name: '900a', hostName: 'relay.example.com', ipv4: '192.0.2.1', ipv6: 'none' };
  const region = { regionID: 900, regionCode: 'x', regionName: 'X', nodes: [node] };
  const map = (more: object) => ({
    grants: [],
    derpMap: { regions: { 900: { ...region, ...more } } },
  });
  expect(codes(map({}))).toEqual([]);
  expect(codes(map({ regionID: 901 }))).toEqual(['bad_name /derpMap/regions/900']);
  expect(codes(map({ nodes: [{ ...node, regionID: 7 }] }))).toEqual([
    'bad_name /derpMap/regions/900/nodes/0',
  ]);
  expect(codes(map({ nodes: [node, node] }))).toEqual(['bad_name /derpMap/regions/900/nodes/1']);
  expect(codes(map({ nodes: [{ ...node, ipv4: '::1' }] }))).toEqual([
    'bad_address /derpMap/regions/900/nodes/0/ipv4',
  ]);
  expect(codes(map({ nodes: [{ ...node, hostName: '' }] }))).toEqual([
    'bad_name /derpMap/regions/900/nodes/0',
  ]);
  const attr = (name: string, type: string) => ({ grants: [], attrConfig: { [name]: { type } } });
  expect(codes(attr('custom:tier', 'string'))).toEqual([]);
  expect(codes(attr('tier', 'string'))).toEqual(['bad_name /attrConfig/tier']);
  expect(codes(attr('custom:tier', 'text'))).toEqual(['wrong_type /attrConfig/custom:tier/type']);
});
