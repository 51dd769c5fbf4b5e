import { spawn, spawnSync } from 'node:child_process';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import process from 'node:process';
import { afterEach, describe, expect, test } from 'vitest';
import type { ConnectionEvidence, Peer } from '../../http/index.ts';
import { createFactsReader, inspectLocalPeer, thisProcess } from './index.ts';

const isLinux = process.platform === 'linux';
const foreignUid = 12_345;
const asForeigner = { uid: foreignUid, gid: foreignUid };
/** Another user can be tried only by root, and only where that user can run this very node. */
const hasForeigner =
  isLinux &&
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ['-e', '0'], asForeigner).status === 0;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function peerOf(socket: Socket): Peer {
  return {
    transport: 'tcp',
    address: socket.remoteAddress,
    port: socket.remotePort,
    localAddress: socket.localAddress,
    localPort: socket.localPort,
  };
}

/** A server that looks at each connection at accept; `next` gives the findings in order. */
async function lookout(host: string) {
  const findings: ConnectionEvidence[] = [];
  const waiting: ((finding: ConnectionEvidence) => void)[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    const finding = inspectLocalPeer(peerOf(socket));
    sockets.add(socket.on('error', () => sockets.delete(socket)));
    const taker = waiting.shift();
    if (taker === undefined) findings.push(finding);
    else taker(finding);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, host, resolve);
  });
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo;
  const next = () =>
    new Promise<ConnectionEvidence>((resolve) => {
      const finding = findings.shift();
      if (finding === undefined) waiting.push(resolve);
      else resolve(finding);
    });
  return { port, next };
}

function call(port: number, host: string): void {
  const socket = connect(port, host).on('error', () => undefined);
  closers.push(() => socket.destroy());
}

function why(finding: ConnectionEvidence): string {
  return finding.localOwner.ours ? 'ours' : finding.localOwner.why;
}

const script = (port: number, then: string, from = '') =>
  `const s = require('node:net').connect({port: ${port}, host: '127.0.0.1'${from}}, () => { s.write('POST /ask HTTP/1.1\\r\\n\\r\\n', () => { ${then} }); });`;

describe.skipIf(!isLinux)('the other end of a connection', () => {
  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
    ['::', '127.0.0.1'],
    ['::', '::1'],
    ['127.0.0.1', '::ffff:127.0.0.1'],
    ['::', '::ffff:127.0.0.1'],
  ])('of our own user is ours: listening on %s, called at %s', async (listen, host) => {
    const { port, next } = await lookout(listen);
    call(port, host);
    expect(why(await next())).toBe('ours');
  });

  test('is found for every one of 300 connections that are open at once', async () => {
    const { port, next } = await lookout('127.0.0.1');
    for (let i = 0; i < 300; i += 1) call(port, '127.0.0.1');
    for (let i = 0; i < 300; i += 1) expect(why(await next())).toBe('ours');
  });

  test('that has closed already proves nothing, even of our own user', async () => {
    const { port, next } = await lookout('127.0.0.1');
    spawnSync(process.execPath, ['-e', script(port, 's.destroy()')]);
    expect(why(await next())).toMatch(/closed/);
  });

  test('is somebody else’s for another user id of ours', () => {
    const peer = {
      transport: 'tcp',
      address: '127.0.0.1',
      port: 1,
      localAddress: '127.0.0.1',
      localPort: 2,
    } as const;
    expect(why(inspectLocalPeer(peer))).toContain('closed before');
    expect(why(inspectLocalPeer(peer, { ...thisProcess(), uid: 65_534 }))).toContain('nobody');
    expect(why(inspectLocalPeer(peer, { ...thisProcess(), uid: undefined }))).toContain('nobody');
    expect(why(inspectLocalPeer(peer, { ...thisProcess(), procNet: '/nowhere' }))).toContain(
      'cannot be read',
    );
    expect(why(inspectLocalPeer({ ...peer, address: '192.0.2.1' }))).toContain('this machine');
    expect(why(inspectLocalPeer({ ...peer, address: undefined }))).toContain('not a TCP');
    expect(why(inspectLocalPeer({ ...peer, transport: 'unix' }))).toContain('not a TCP');
  });
});

describe.skipIf(!hasForeigner)('a stranger on this machine (needs root)', () => {
  test('is named by his user id', async () => {
    const { port, next } = await lookout('127.0.0.1');
    const child = spawn(process.execPath, ['-e', script(port, '')], asForeigner);
    closers.push(() => child.kill());
    expect(why(await next())).toContain(`uid ${foreignUid}`);
  });

  test.each([
    ['closes', 's.end(); s.unref()'],
    ['closes without waiting', 's.destroy()'],
    ['resets', 's.resetAndDestroy()'],
  ])('who connects, sends and %s before we look is not taken for us', async (_how, then) => {
    const { port, next } = await lookout('127.0.0.1');
    // The child is waited for with our event loop at rest, so it is gone when the connection is accepted.
    spawnSync(process.execPath, ['-e', script(port, then)], asForeigner);
    expect(why(await next())).not.toBe('ours');
  });

  test('who resets and leaves his port to a process of ours gains nothing by it', async () => {
    const { port, next } = await lookout('127.0.0.1');
    // Below the ports that the system gives to connections.
    const from = ", localAddress: '127.0.0.1', localPort: 19871";
    spawnSync(process.execPath, ['-e', script(port, 's.resetAndDestroy()', from)], asForeigner);
    // Ours follows on the same port and stays; only then do we look at both.
    const ours = `${JSON.stringify(process.execPath)} -e ${JSON.stringify(script(port, 'setTimeout(() => {}, 3000)', from))}`;
    spawnSync('sh', ['-c', `${ours} >/dev/null 2>&1 & sleep 0.7`]);
    expect(why(await next())).not.toBe('ours');
    expect(why(await next())).toBe('ours');
  });
});

describe('the facts about this process', () => {
  test('are read from the system and searched for anew every second', async () => {
    let nowMs = 0;
    let searches = 0;
    const read = createFactsReader({
      platform: 'darwin',
      uid: 501,
      environment: { PATH: '/bin', TS_SOCKET: '', UNSET: undefined },
      proc: '/proc',
      listProcesses: () => {
        searches += 1;
        return Promise.resolve(searches === 1 ? ['launchd'] : ['launchd', 'tailscaled']);
      },
      monotonicMs: () => nowMs,
    });
    const [first] = await Promise.all([read(), read(), read()]);
    expect(first).toEqual({
      isLinux: false,
      variables: new Set(['PATH', 'TS_SOCKET']),
      pidNamespace: undefined,
      cgroup: undefined,
      tailscaled: { found: false },
    });
    nowMs = 999;
    expect((await read()).tailscaled.found).toBe(false);
    nowMs = 1_000;
    expect((await read()).tailscaled.found).toBe(true);
    expect(searches).toBe(2);
  });

  test.skipIf(!isLinux)('are complete on this machine', async () => {
    const facts = await createFactsReader()();
    expect(facts.isLinux).toBe(true);
    expect(facts.pidNamespace).toMatch(/^pid:\[\d+\]$/);
    expect(facts.cgroup).toContain(':');
  });
});
