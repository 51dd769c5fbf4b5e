import { describe, expect, test } from 'vitest';
import { parseAddr, parsePrefix } from '../../base/netip/index.ts';
import { inventory, nodeOf, shown, tailnetOf } from './fixture.test-data.ts';
import { compareVersions } from './index.ts';

function addr(text: string): Parameters<ReturnType<typeof tailnetOf>['capabilitiesOf']>[1] {
  const parsed = parseAddr(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

const alice = '100.64.0.1 fd7a:115c:a1e0::1 100.64.0.2 fd7a:115c:a1e0::2';
const everyone =
  '100.64.0.0-100.115.91.255 100.115.94.0-100.127.255.255 fd7a:115c:a1e0::/48 10.0.0.0/16';

function grant(rule: object): object {
  return { grants: [{ src: ['*'], dst: ['*'], ...rule }] };
}

describe('packet filters', () => {
  test('without acls and grants everything is open; with an empty list nothing is', () => {
    expect(shown(tailnetOf({}), 'web')).toEqual([`${everyone} > *:0-65535`]);
    expect(shown(tailnetOf({ grants: [] }), 'web')).toEqual([]);
    expect(shown(tailnetOf({ acls: [] }), 'web')).toEqual([]);
  });

  test('a destination is told only to itself, with its own addresses', () => {
    const tailnet = tailnetOf(
      grant({ src: ['alice@example.com'], dst: ['tag:web'], ip: ['tcp:443'] }),
    );
    expect(shown(tailnet, 'web')).toEqual([
      `${alice} > 100.64.0.5:443-443 fd7a:115c:a1e0::5:443-443 proto 6`,
    ]);
    for (const id of ['laptop', 'db', 'router']) expect(shown(tailnet, id)).toEqual([]);
    expect(tailnet.filterOf('nobody')).toEqual([]);
  });

  test('rules with the same sources and protocol are one on the wire', () => {
    const rules = [
      { src: ['tag:db'], dst: ['tag:web'], ip: ['80'] },
      { src: ['alice@example.com'], dst: ['tag:web'], ip: ['80'] },
      { src: ['tag:db'], dst: ['tag:web'], ip: ['443'] },
    ];
    expect(shown(tailnetOf({ grants: rules }), 'web')).toHaveLength(2);
  });

  test('autogroup:self opens a person’s machines to that person only', () => {
    const policy = grant({ src: ['autogroup:member'], dst: ['autogroup:self'], ip: ['22'] });
    const tailnet = tailnetOf(policy);
    expect(shown(tailnet, 'phone')).toEqual([
      `${alice} > 100.64.0.2:22-22 fd7a:115c:a1e0::2:22-22`,
    ]);
    expect(shown(tailnet, 'desk')).toEqual([
      '100.64.0.3 fd7a:115c:a1e0::3 > 100.64.0.3:22-22 fd7a:115c:a1e0::3:22-22',
    ]);
    expect(shown(tailnet, 'guest')).toEqual([]);
    expect(shown(tailnet, 'web')).toEqual([]);
  });

  test('an approved route is a destination, an advertised one is not', () => {
    const policy = grant({
      src: ['tag:db'],
      dst: ['office', '10.9.0.0/24', '10.0.0.0/8'],
      ip: ['*'],
    });
    expect(shown(tailnetOf(policy), 'router')).toEqual([
      '100.64.0.6 fd7a:115c:a1e0::6 > 10.0.1.0/24:0-65535 10.0.0.0/8:0-65535',
    ]);
    expect(shown(tailnetOf(policy), 'web')).toEqual([]);
  });

  test('the internet is told to approved exit nodes as ranges', () => {
    const [rule = ''] = shown(
      tailnetOf(grant({ src: ['tag:db'], dst: ['autogroup:internet'], ip: ['*'] })),
      'exit',
    );
    expect(rule).toContain('0.0.0.0-9.255.255.255:0-65535 11.0.0.0-100.63.255.255:0-65535');
    expect(rule).toContain('2000::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:0-65535');
    expect(rule).not.toContain('10.');
  });

  test('via tells a rule only to routers with the tag that route the destination', () => {
    const via = (tag: string): object =>
      grant({ src: ['tag:db'], dst: ['office'], ip: ['*'], via: [tag] });
    expect(shown(tailnetOf(via('tag:router')), 'router')).toHaveLength(1);
    expect(shown(tailnetOf(via('tag:exit')), 'router')).toEqual([]);
    expect(shown(tailnetOf(via('tag:exit')), 'exit')).toEqual([]);
  });

  test('danger-all is every address, roles and domains are their people, shared are guests', () => {
    const src = (selector: string): string => {
      const [rule = ''] = shown(
        tailnetOf(grant({ src: [selector], dst: ['tag:web'], ip: ['80'] })),
        'web',
      );
      return rule.split(' >')[0] ?? '';
    };
    expect(src('autogroup:danger-all')).toBe('*');
    expect(src('autogroup:admin')).toBe(alice);
    expect(src('user:*@example.com')).toBe(`${alice} 100.64.0.3 fd7a:115c:a1e0::3`);
    expect(src('user:*@elsewhere.org')).toBe('');
    expect(src('autogroup:shared')).toBe('100.64.0.4 fd7a:115c:a1e0::4');
    expect(src('autogroup:member')).toBe(`${alice} 100.64.0.3 fd7a:115c:a1e0::3`);
    expect(src('ALICE@example.com')).toBe(alice);
  });

  test('an ipset is worked out in order', () => {
    const ipsets = {
      'ipset:lab': ['add 10.0.0.0/29', 'remove 10.0.0.2-10.0.0.3', 'add host:office'],
      'ipset:all': ['add ipset:lab', 'remove 10.0.1.0/24'],
    };
    const policy = { ipsets, ...grant({ src: ['ipset:all'], dst: ['ipset:lab'], ip: ['80'] }) };
    expect(shown(tailnetOf(policy), 'router')).toEqual([
      '10.0.0.0/31 10.0.0.4/30 > 10.0.0.0/31:80-80 10.0.0.4/30:80-80 10.0.1.0/24:80-80',
    ]);
  });

  test('a service has the addresses of the inventory', () => {
    const services = new Map([['svc:web', [addr('100.64.0.5')]]]);
    const tailnet = tailnetOf(grant({ dst: ['svc:web'], ip: ['80'] }), { ...inventory, services });
    expect(shown(tailnet, 'web')).toEqual([`${everyone} > 100.64.0.5:80-80`]);
  });
});

describe('postures', () => {
  const postures = {
    'posture:mac': ["node:os == 'macos'", "node:tsVersion >= '1.40'"],
    'posture:linux': ["node:os == 'linux'"],
    'posture:notwindows': ["node:os != 'windows'"],
  };
  const src = (policy: object): string => {
    const [rule = ''] = shown(tailnetOf({ postures, ...policy }), 'web');
    return rule.split(' >')[0] ?? '';
  };

  test('narrow people and tags to devices that meet one of them; guests and routes pass', () => {
    const rule = { src: ['group:dev'], dst: ['tag:web'], ip: ['80'] };
    expect(src({ grants: [{ ...rule, srcPosture: ['posture:mac'] }] })).toBe(
      '100.64.0.1 fd7a:115c:a1e0::1',
    );
    expect(src({ grants: [{ ...rule, srcPosture: ['posture:mac', 'posture:linux'] }] })).toBe(
      '100.64.0.1 fd7a:115c:a1e0::1 100.64.0.3 fd7a:115c:a1e0::3',
    );
    expect(src({ grants: [{ ...rule, src: ['*'], srcPosture: ['posture:mac'] }] })).toBe(
      '10.0.0.0/16 100.64.0.1 fd7a:115c:a1e0::1 100.64.0.4 fd7a:115c:a1e0::4',
    );
    expect(
      src({
        grants: [{ ...rule, src: ['100.64.0.0/29', '10.0.0.0/8'], srcPosture: ['posture:mac'] }],
      }),
    ).toBe('10.0.0.0/8 100.64.0.1 100.64.0.4');
  });

  test('an attribute that is not set meets nothing, not even a negation', () => {
    const rule = {
      src: ['tag:db'],
      dst: ['tag:web'],
      ip: ['80'],
      srcPosture: ['posture:notwindows'],
    };
    expect(src({ grants: [rule] })).toBe('');
  });

  test('the default holds for rules that name none, and is replaced, not added to', () => {
    const rule = { src: ['group:dev'], dst: ['tag:web'], ip: ['80'] };
    const defaultSrcPosture = ['posture:mac'];
    expect(src({ defaultSrcPosture, grants: [rule] })).toBe('100.64.0.1 fd7a:115c:a1e0::1');
    expect(src({ defaultSrcPosture, grants: [{ ...rule, srcPosture: ['posture:linux'] }] })).toBe(
      '100.64.0.3 fd7a:115c:a1e0::3',
    );
  });

  test.each([
    ['', '1.2.3', -1],
    ['2.0.0', '1.9.9', 1],
    ['1.9.8', '1.9.8', 0],
    ['1.0-0', '0.97-105', 1],
    ['0.97-120', '0.97-105', 1],
    ['0.96.1-0', '0.96-105', 1],
    ['۱۱', '۲', -1],
    ['10.0.22631.2262', '10.0.22000', 1],
    ['10', '7', 1],
    ['15.6.1', '15.6', 1],
    ['4.4.302+', '4.0', 1],
    ['14.0-CURRENT', '14', 1],
    ['Synology 6.2.4; kernel=3.10.105', 'Synology 6', 1],
  ])('version %j against %j is %d', (a, b, want) => {
    expect(Math.sign(compareVersions(a, b))).toBe(want);
    expect(Math.sign(compareVersions(b, a))).toBe(want === 0 ? 0 : -want);
  });
});

describe('capabilities', () => {
  const app = { 'example.com/cap/x': [{ v: 1 }] };

  test('reach the destination, narrowed to its addresses, and WhoIs adds the values of all grants', () => {
    const grants = [
      { src: ['group:dev'], dst: ['*'], app },
      { src: ['alice@example.com'], dst: ['tag:web'], app: { 'example.com/cap/x': [{ v: 2 }] } },
    ];
    const tailnet = tailnetOf({ grants });
    expect(shown(tailnet, 'db')).toEqual([
      `${alice} 100.64.0.3 fd7a:115c:a1e0::3 > 100.64.0.6/32+fd7a:115c:a1e0::6/128={"example.com/cap/x":[{"v":1}]}`,
    ]);
    expect(tailnet.capabilitiesOf('web', addr('100.64.0.1'))).toEqual({
      'example.com/cap/x': [{ v: 1 }, { v: 2 }],
    });
    expect(tailnet.capabilitiesOf('web', addr('fd7a:115c:a1e0::3'))).toEqual({
      'example.com/cap/x': [{ v: 1 }],
    });
    expect(tailnet.capabilitiesOf('web', addr('100.64.0.6'))).toEqual({});
    expect(tailnet.capabilitiesOf('nobody', addr('100.64.0.1'))).toEqual({});
  });

  test('keep the prefix of a destination that the node routes', () => {
    expect(shown(tailnetOf(grant({ src: ['tag:db'], dst: ['office'], app })), 'router')).toEqual([
      '100.64.0.6 fd7a:115c:a1e0::6 > 10.0.1.0/24={"example.com/cap/x":[{"v":1}]}',
    ]);
  });

  test('drive and relay tell the sources about their servers', () => {
    const policy = grant({
      src: ['group:dev'],
      dst: ['tag:web'],
      app: { 'tailscale.com/cap/drive': [{}] },
    });
    expect(shown(tailnetOf(policy), 'desk')).toEqual([
      '100.64.0.5 fd7a:115c:a1e0::5 > 100.64.0.3/32+fd7a:115c:a1e0::3/128={"tailscale.com/cap/drive-sharer":null}',
    ]);
  });
});

describe('ssh', () => {
  const of = (ssh: readonly object[], id: string): readonly string[] =>
    tailnetOf({ ssh })
      .sshOf(id, 'https://c')
      .map(({ principals, sshUsers, action }) => {
        const who = principals.map(({ nodeIP }) => nodeIP).filter((ip) => !ip.includes(':'));
        const kind = action.accept === true ? 'accept' : action.holdAndDelegate;
        return `${who.join(' ')} ${JSON.stringify(sshUsers)} ${kind}`;
      });
  const rule = { action: 'accept', src: ['group:dev'], dst: ['tag:web'], users: ['root'] };

  test('root is always said, and nonroot is every other name', () => {
    expect(of([{ ...rule, users: ['autogroup:nonroot'] }], 'web')).toEqual([
      '100.64.0.1 100.64.0.2 100.64.0.3 {"*":"=","root":""} accept',
    ]);
    expect(of([rule], 'db')).toEqual([]);
  });

  test('a rule with a check stands before every rule without', () => {
    const [first, second] = of([rule, { ...rule, action: 'check' }], 'web');
    expect(first).toContain('https://c/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID');
    expect(second).toMatch(/accept$/);
  });

  test('a local part is the name of each owner, and sources get the rule of their own', () => {
    const local = [{ ...rule, users: ['localpart:*@example.com'] }];
    expect(of(local, 'web')).toEqual([
      '100.64.0.1 100.64.0.2 {"root":""} accept',
      '100.64.0.1 100.64.0.2 {"alice":"alice"} accept',
      '100.64.0.3 {"root":""} accept',
      '100.64.0.3 {"bob":"bob"} accept',
    ]);
    expect(of(local, 'desk')).toEqual([
      '100.64.0.3 {"root":""} accept',
      '100.64.0.3 {"bob":"bob"} accept',
    ]);
  });

  test('a user named __proto__ is a user', () => {
    expect(of([{ ...rule, users: ['__proto__'] }], 'web')[0]).toContain('"__proto__":"__proto__"');
  });
});

test('node attributes add up over targets and options', () => {
  const tailnet = tailnetOf({
    randomizeClientPort: true,
    nodeAttrs: [
      { target: ['tag:web', 'office'], attr: ['drive:share', 'drive:share'] },
      { target: ['*'], app: { 'tailscale.com/app-connectors': [{ name: 'x' }] } },
      { target: ['group:dev'], ipPool: ['100.81.0.0/16'] },
    ],
  });
  expect(tailnet.attributesOf('web')).toEqual({
    'randomize-client-port': null,
    'drive:share': null,
    'tailscale.com/app-connectors': [{ name: 'x' }],
  });
  expect(tailnet.attributesOf('db')).not.toHaveProperty('drive:share');
  expect(tailnet.ipPoolOf('desk')).toHaveLength(1);
  expect(tailnet.ipPoolOf('web')).toEqual([]);
});

test('routes are approved by covering prefix and approver, exit routes only by exitNode', () => {
  const autoApprovers = {
    routes: { '10.0.0.0/8': ['tag:router'], '0.0.0.0/0': ['tag:exit'] },
    exitNode: ['tag:router'],
  };
  const tailnet = tailnetOf({ autoApprovers });
  const routes = ['10.1.0.0/16', '192.168.0.0/16', '0.0.0.0/0'];
  const approved = (tag: string): number =>
    tailnet.approvableRoutesOf(nodeOf('new', 99, { tags: [tag], routes })).length;
  expect(approved('tag:router')).toBe(2);
  expect(approved('tag:exit')).toBe(2);
  expect(approved('tag:web')).toBe(0);
  expect(parsePrefix('0.0.0.0/0').ok).toBe(true);
});
