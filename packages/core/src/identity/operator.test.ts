import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { OperatorFacts, OperatorQuestion } from './operator.ts';
import { containerbootVariables, isLoopbackAddress, judgeOperator } from './operator.ts';

const question: OperatorQuestion = {
  peerAddress: '127.0.0.1',
  localOwner: { ours: true },
  sawForwarding: false,
  sawIdentityHeaders: false,
  hasConfigFile: false,
  trustLoopback: false,
};
const facts: OperatorFacts = {
  isLinux: true,
  variables: new Set(['PATH', 'HOME', 'CONTAINER_NAME', 'TS_NODE_PROJECT']),
  pidNamespace: 'pid:[4026531836]',
  cgroup: '0::/user.slice/user-1000.slice/session-2.scope\n',
  tailscaled: { found: false },
};

function told(q: Partial<OperatorQuestion> = {}, f: Partial<OperatorFacts> = {}): string {
  const result = judgeOperator({ ...question, ...q }, { ...facts, ...f });
  return result.ok ? 'believed' : result.error;
}

describe('the person who started the process', () => {
  test('is believed when every condition holds', () => {
    expect(told()).toBe('believed');
    expect(told({ peerAddress: '::1' })).toBe('believed');
    expect(told({ peerAddress: '::ffff:127.0.0.1' })).toBe('believed');
    expect(told({ hasConfigFile: true, trustLoopback: true })).toBe('believed');
  });

  const why = 'the other end of the connection belongs to another user (uid 33)';
  const cases: readonly (readonly [
    string,
    Partial<OperatorQuestion>,
    Partial<OperatorFacts>,
    string,
  ])[] = [
    [
      'a peer on another machine',
      { peerAddress: '192.0.2.1' },
      {},
      'does not come from this machine',
    ],
    ['a peer on the mesh', { peerAddress: '100.64.0.2' }, {}, 'does not come from this machine'],
    ['a peer without address', { peerAddress: undefined }, {}, 'does not come from this machine'],
    ['a configuration file', { hasConfigFile: true }, {}, '"trustLoopback": true'],
    ['a socket of another user', { localOwner: { ours: false, why } }, {}, 'uid 33'],
    ['a forwarded request', { sawForwarding: true }, {}, 'without the proxy'],
    ['identity headers', { sawIdentityHeaders: true }, {}, 'serve socket'],
    [
      'the variable container',
      {},
      { variables: new Set(['container']) },
      'variable container says',
    ],
    [
      'Kubernetes',
      {},
      { variables: new Set(['KUBERNETES_SERVICE_HOST']) },
      'KUBERNETES_SERVICE_HOST',
    ],
    ['another PID namespace', {}, { pidNamespace: 'pid:[4026532200]' }, 'PID namespace'],
    ['an unreadable PID namespace', {}, { pidNamespace: undefined }, '/proc/self cannot be read'],
    ['an unreadable control group', {}, { cgroup: undefined }, '/proc/self cannot be read'],
    ['docker', {}, { cgroup: '0::/system.slice/docker-1f.scope\n' }, 'one of docker'],
    ['kubernetes pods', {}, { cgroup: '1:cpu:/kubepods/burstable/pod1\n' }, 'one of kubepods'],
    ['podman', {}, { cgroup: '0::/machine.slice/libpod-1f.scope\n' }, 'one of libpod'],
    ['lxc', {}, { cgroup: '0::/lxc/web\n' }, 'one of lxc'],
    [
      'a tailscaled of the same user',
      {},
      { tailscaled: { found: true } },
      'run Postern as another user',
    ],
    [
      'a process that cannot be looked at',
      {},
      { tailscaled: { found: false, unknown: 'process 7 cannot be looked at' } },
      'process 7',
    ],
  ];
  test.each(cases)('is not believed behind %s, and is told what to do', (_name, q, f, words) => {
    const sentence = told(q, f);
    expect(sentence).toContain(words);
    expect(sentence).toContain('postern key create');
  });

  test.each(containerbootVariables)('is not believed where %s is set', (name) => {
    expect(told({}, { variables: new Set([name]) })).toContain(`${name} is set`);
  });

  test('needs no owner of the socket outside Linux, but no tailscaled of anybody', () => {
    const elsewhere = { isLinux: false, pidNamespace: undefined, cgroup: undefined };
    const unknown = { localOwner: { ours: false as const, why: 'not told' } };
    expect(told(unknown, elsewhere)).toBe('believed');
    expect(told({}, { ...elsewhere, tailscaled: { found: true } })).toContain('on this machine');
    expect(told({}, { ...elsewhere, variables: new Set(['container']) })).not.toBe('believed');
  });

  test('is never believed with two conditions broken because they cancel out', () => {
    fc.assert(
      fc.property(fc.subarray([...cases], { minLength: 1 }), (broken) => {
        const q = Object.assign({}, ...broken.map(([, part]) => part)) as Partial<OperatorQuestion>;
        const f = Object.assign({}, ...broken.map(([, , part]) => part)) as Partial<OperatorFacts>;
        expect(told(q, f)).not.toBe('believed');
      }),
    );
  });
});

test('loopback is 127.0.0.0/8 and ::1, written strictly', () => {
  for (const address of ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1'])
    expect(isLoopbackAddress(address)).toBe(true);
  for (const address of ['127.1', '0.0.0.0', '::', '10.0.0.1', '::ffff:10.0.0.1', '', 'localhost'])
    expect(isLoopbackAddress(address)).toBe(false);
});
