import { err, ok } from '@postern/core/base';
import { describe, expect, test } from 'vitest';
import type { DaemonView, NetworkFacts } from './index.ts';
import { judgeNetwork, networkFindingKinds, oddServeKeys, serveRules } from './index.ts';

const nowMs = Date.parse('2030-01-01T00:00:00Z');
const socket = '/var/lib/postern/run/serve.sock';
const daemon: DaemonView = {
  state: 'Running',
  hasDevice: true,
  addresses: ['100.64.0.2', 'fd7a:115c:a1e0::2'],
  name: 'ai.mesh.internal',
  magicDns: true,
  takesDns: true,
  controlUrl: 'https://vpn.example.com',
  health: [],
  certDomains: [],
  authUrl: undefined,
};
const well: NetworkFacts = {
  nowMs,
  daemon: ok(daemon),
  program: '/usr/sbin/tailscaled',
  control: ok(undefined),
  ownName: ok(['100.64.0.2']),
  udp: ok({ asked: 1, answered: 1 }),
  wireguardPort: ok(true),
  serve: ok({
    TCP: { '80': { HTTP: true } },
    Web: { 'ai.mesh.internal:80': { Handlers: { '/': { Proxy: `unix:${socket}` } } } },
  }),
  serveSocket: { path: socket, isThere: true },
  listeners: ok([
    { host: '127.0.0.1', port: 8_080 },
    { host: '100.64.0.2', port: 8_000 },
    { host: '0.0.0.0', port: 22 },
  ]),
  ports: { gateway: 8_080, admin: 8_081, control: 8_000 },
  hasEdge: false,
};

function open(more: Partial<NetworkFacts>): readonly string[] {
  return judgeNetwork({ ...well, ...more })
    .filter(({ verdict }) => verdict === 'fail' || verdict === 'unknown')
    .map(({ id, verdict }) => (verdict === 'fail' ? id : `${id}?`));
}

const withDaemon = (more: Partial<DaemonView>): Partial<NetworkFacts> => ({
  daemon: ok({ ...daemon, ...more }),
});
const proxy = (target: string, more: object = {}): Partial<NetworkFacts> => ({
  serve: ok({ Web: { 'ai.mesh.internal:80': { Handlers: { '/': { Proxy: target } } } }, ...more }),
});

test('nothing is wrong where nothing is', () => {
  expect(open({})).toEqual([]);
  expect(judgeNetwork(well)).toHaveLength(networkFindingKinds.length);
});

describe('each fault has its own finding', () => {
  test.each<[string, Partial<NetworkFacts>, readonly string[]]>([
    ['no daemon', { daemon: ok(undefined) }, ['tailscaled', 'bind']],
    ['not installed', { daemon: ok(undefined), program: undefined }, ['tailscaled', 'bind']],
    ['logged out', withDaemon({ state: 'NeedsLogin' }), ['logged-in']],
    ['waiting', withDaemon({ state: 'NeedsMachineAuth' }), ['logged-in']],
    ['stopped', withDaemon({ state: 'Stopped' }), ['logged-in']],
    ['no server', { control: ok('it cannot be reached') }, ['coordination']],
    ['a key that ends', withDaemon({ keyExpiresAtMs: nowMs + 86_400_000 }), ['node-key']],
    ['a key that ended', withDaemon({ keyExpiresAtMs: nowMs - 1 }), ['node-key']],
    ['MagicDNS off', withDaemon({ magicDns: false }), ['magic-dns']],
    ['another resolver', { ownName: ok(['203.0.113.1']) }, ['magic-dns']],
    ['no resolver', { ownName: err('ENOTFOUND') }, ['magic-dns?']],
    ['UDP blocked', { udp: ok({ asked: 2, answered: 0 }) }, ['udp']],
    ['a bare path', { serve: ok({ Web: { '/': { Handlers: {} } } }) }, ['serve-form']],
    ['Serve to a port', proxy('http://127.0.0.1:8080'), ['serve-target']],
    [
      'Serve to a port by TCP',
      proxy('', { TCP: { '80': { TCPForward: '127.0.0.1:8080' } } }),
      ['serve-target'],
    ],
    ['nobody at the socket', { serveSocket: { path: socket, isThere: false } }, ['serve-target']],
    [
      'Funnel',
      proxy(`unix:${socket}`, { AllowFunnel: { 'ai.mesh.internal:80': true } }),
      ['funnel'],
    ],
    ['every address', { listeners: ok([{ host: '0.0.0.0', port: 8_080 }]) }, ['bind']],
    ['every address of six', { listeners: ok([{ host: '::', port: 8_000 }]) }, ['bind']],
  ])('%s', (_, facts, ids) => {
    expect(open(facts)).toEqual(ids);
  });

  test('where it could not be looked, nothing is called good', () => {
    expect(open({ listeners: err('no /proc'), udp: err('x'), serve: err('x') })).toEqual([
      'udp?',
      'serve-form?',
      'serve-target?',
      'funnel?',
      'bind?',
    ]);
  });

  test('a balancer in front is a reason to listen more widely, for the gateway alone', () => {
    const wide = ok([{ host: '0.0.0.0', port: 8_080 }]);
    expect(open({ listeners: wide, hasEdge: true })).toEqual([]);
    const control = ok([{ host: '0.0.0.0', port: 8_000 }]);
    expect(open({ listeners: control, hasEdge: true })).toEqual(['bind']);
  });

  test('what to do next is a command, and where to sign in where somebody has to', () => {
    const facts = {
      ...well,
      ...withDaemon({ state: 'NeedsLogin', authUrl: 'https://x/register/1' }),
    };
    const login = judgeNetwork(facts).find(({ id }) => id === 'logged-in');
    expect(login?.next).toBe('Open https://x/register/1');
    for (const { next, why, title } of networkFindingKinds) {
      expect(next.length * why.length * title.length).toBeGreaterThan(0);
    }
  });
});

test('a Serve configuration is read as tailscaled has it', () => {
  const config = {
    TCP: { '443': { HTTPS: true }, '5432': { TCPForward: '127.0.0.1:5432' } },
    Web: { 'ai.ts.net:443': { Handlers: { '/': { Proxy: 'unix:/x' }, '/t': { Text: 'hi' } } } },
    AllowFunnel: { 'ai.ts.net:443': true },
  };
  expect(serveRules(config)).toEqual([
    { at: 'ai.ts.net:443', path: '/', target: 'unix:/x', kind: 'web', funnel: true },
    { at: 'ai.ts.net:443', path: '/t', target: '', kind: 'web', funnel: true },
    { at: '5432', path: '', target: '127.0.0.1:5432', kind: 'tcp', funnel: false },
  ]);
  expect(oddServeKeys(config)).toEqual([]);
  expect(oddServeKeys({ Web: { '/': {}, 'ai.ts.net': {} } })).toEqual(['/', 'ai.ts.net']);
  expect(serveRules({})).toEqual([]);
});
