import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { DerpClient } from '../../../../../test/tailnet/driver/derp-client.ts';
import { generateKeyPair } from '../noise/index.ts';
import {
  answerDerp,
  createMetaCertificate,
  createPinnedCertificate,
  type DerpListener,
  derpMapOf,
  DerpRelay,
  openDerpListener,
} from './index.ts';

const nowMs = (): number => Date.now();
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

function pinned(host: string): ReturnType<typeof createPinnedCertificate> {
  return createPinnedCertificate({ host, nowMs: Date.now(), randomBytes });
}

async function start(): Promise<{ relay: DerpRelay; listener: DerpListener; certName: string }> {
  const keyPair = generateKeyPair();
  const relay = new DerpRelay({ keyPair, mayUse: () => true, nowMs, randomBytes });
  const certificate = pinned('127.0.0.1');
  const opened = await openDerpListener({ relay, host: '127.0.0.1', port: 0, certificate, nowMs });
  if (!opened.ok) throw opened.error;
  open.push(relay, opened.value);
  return { relay, listener: opened.value, certName: certificate.certName };
}

function dial(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    socket.once('secureConnect', () => resolve(socket)).once('error', reject);
  });
}

/** Sends a request and gives what came until the blank line, and what came behind it. */
async function ask(port: number, lines: readonly string[]): Promise<[TLSSocket, string, Buffer]> {
  const socket = await dial(port);
  socket.write([...lines, 'Host: 127.0.0.1', '', ''].join('\r\n'));
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    // A socket without an encoding gives buffers.
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    const end = bytes.indexOf('\r\n\r\n');
    if (end >= 0) return [socket, bytes.toString('latin1', 0, end), bytes.subarray(end + 4)];
  }
  throw new Error(`no answer: ${bytes.toString('latin1')}`);
}

describe('certificates', () => {
  test.each([
    ['10.0.0.1', 'IP Address:10.0.0.1'],
    ['fd7a::1', 'IP Address:FD7A:0:0:0:0:0:0:1'],
    ['derp.example', 'DNS:derp.example'],
  ])('a pinned certificate for %s names it and verifies with its own key', (host, name) => {
    const { certificatePem, certName } = pinned(host);
    const certificate = new X509Certificate(certificatePem);
    expect(certificate.subjectAltName).toBe(name);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    const hash = createHash('sha256').update(certificate.raw).digest('hex');
    expect(certName).toBe(`sha256-raw:${hash}`);
    expect(certificate.validFromDate.getTime()).toBeLessThan(Date.now() - 86_400_000);
  });

  test('the meta certificate says the key and the version', () => {
    const certificate = new X509Certificate(createMetaCertificate('ab'.repeat(32), Date.now()));
    expect(certificate.subject).toBe(`CN=derpkey${'ab'.repeat(32)}`);
    expect(certificate.serialNumber).toBe('02');
  });
});

describe('listener', () => {
  test('presents the pinned certificate and behind it the meta certificate', async () => {
    const { relay, listener, certName } = await start();
    const socket = await dial(listener.port);
    const first = socket.getPeerX509Certificate();
    expect(certName).toContain(
      createHash('sha256')
        .update(first?.raw ?? '')
        .digest('hex'),
    );
    socket.destroy();
    expect(relay.publicKey).toMatch(/^[0-9a-f]{64}$/);
  });

  test('an upgrade is answered with the key and then carries packets', async () => {
    const { relay, listener } = await start();
    const lines = ['GET /derp HTTP/1.1', 'Connection: Upgrade', 'Upgrade: DERP'];
    const [socketA, head, rest] = await ask(listener.port, lines);
    expect(head).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n' +
        `Derp-Version: 2\r\nDerp-Public-Key: ${relay.publicKey}`,
    );
    const a = new DerpClient(socketA, generateKeyPair(), rest);
    const socketB = await dial(listener.port);
    socketB.write(`${lines.join('\r\n')}\r\nDerp-Fast-Start: 1\r\nHost: h\r\n\r\n`);
    const b = new DerpClient(socketB, generateKeyPair());
    await Promise.all([a.admitted(), b.admitted()]);
    const packets = Array.from({ length: 64 }, () => randomBytes(1_400));
    for (const packet of packets) a.send(b.key, packet);
    for (const packet of packets) {
      expect(await b.next()).toEqual({
        kind: 'packet',
        source: a.key,
        packet: new Uint8Array(packet),
      });
    }
    a.close();
    expect(await b.next()).toMatchObject({ kind: 'gone', peer: a.key });
    b.close();
  });

  test.each([
    ['GET /derp HTTP/1.1', '426 Upgrade Required'],
    ['GET /derp/probe HTTP/1.1', '200 OK'],
    ['HEAD /derp/latency-check?x=1 HTTP/1.1', '200 OK'],
    ['POST /derp/probe HTTP/1.1\r\nContent-Length: 0', '405 Method Not Allowed'],
    ['GET /generate_204 HTTP/1.1', '204 No Content'],
    ['GET /other HTTP/1.1', '404 Not Found'],
    ['GET /derp HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket', '400 Bad Request'],
    ['POST /derp HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: DERP', '400 Bad Request'],
  ])('%s is answered with %s', async (line, status) => {
    const { listener } = await start();
    const [socket, head] = await ask(listener.port, [line]);
    expect(head.split('\r\n')[0]).toBe(`HTTP/1.1 ${status}`);
    socket.destroy();
  });
});

test.each([
  ['ts_derp.example:1', 'response ts_derp.example:1'],
  ['a b', undefined],
  ['x'.repeat(65), undefined],
])('a challenge %s is answered with %s', (challenge, response) => {
  const headers = { 'x-tailscale-challenge': challenge };
  const answer = answerDerp({ method: 'GET', path: '/generate_204', headers });
  expect(answer?.headers['x-tailscale-response']).toBe(response);
});

test('the map holds our relay, and what the policy adds, replaces and removes', () => {
  const own = { hostName: 'vpn.example', port: 443, stunPort: 3478, certName: 'sha256-raw:00' };
  const region = {
    regionId: 901,
    regionCode: 'x',
    regionName: 'X',
    avoid: true,
    nodes: [],
  };
  const policy = {
    omitDefaultRegions: false,
    regions: new Map([
      [901, region],
      [902, null],
    ]),
  };
  expect(derpMapOf(own, policy)).toEqual({
    omitDefaultRegions: true,
    Regions: {
      900: {
        RegionID: 900,
        RegionCode: 'postern',
        RegionName: 'Postern',
        Nodes: [
          {
            Name: '900a',
            RegionID: 900,
            HostName: 'vpn.example',
            DERPPort: 443,
            STUNPort: 3478,
            CertName: 'sha256-raw:00',
          },
        ],
      },
      901: { RegionID: 901, RegionCode: 'x', RegionName: 'X', Avoid: true, Nodes: [] },
    },
  });
  const without = { omitDefaultRegions: false, regions: new Map([[900, null]]) };
  expect(derpMapOf(own, without).Regions).toEqual({});
});

test('a client that cannot pin a certificate is told not to look at it, and no other one', () => {
  const own = { hostName: 'vpn.example', port: 3343, stunPort: -1, certName: 'sha256-raw:00' };
  const nodeAt = (version: number): unknown =>
    derpMapOf(own, undefined, version).Regions['900']?.Nodes[0];
  expect(nodeAt(113)).toMatchObject({ InsecureForTests: true });
  expect(nodeAt(113)).not.toHaveProperty('CertName');
  expect(nodeAt(115)).toMatchObject({ CertName: 'sha256-raw:00' });
  expect(nodeAt(115)).not.toHaveProperty('InsecureForTests');
  const { certName: _, ...trusted } = own;
  expect(derpMapOf(trusted, undefined, 113).Regions['900']?.Nodes[0]).not.toHaveProperty(
    'InsecureForTests',
  );
});
