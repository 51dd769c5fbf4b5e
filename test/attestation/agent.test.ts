/** The client of the guest agent against the simulated agent, over a real socket. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { utf8 } from '@postern/core/base';
import {
  appraisePeer,
  vendorAnchors,
  verifyDstackAttestation,
  verifyQuoteAnswer,
} from '@postern/core/attest';
import {
  DstackAgent,
  findAgent,
  parseAddress,
  TappdAgent,
} from '../../packages/server/src/adapters/attestor-dstack/index.ts';
import { serveAgent } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type { AgentSocket } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { contextOf, derOf, nowMs, peerContext, policy, simulator } from './simulated.ts';

let folder = '';
let socket: AgentSocket;
let agent: DstackAgent;
let tappd: TappdAgent;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-'));
  socket = await serveAgent(simulator, join(folder, 'dstack.sock'));
  const address = { kind: 'socket', path: socket.path } as const;
  agent = new DstackAgent({ address });
  tappd = new TappdAgent({ address });
});

afterAll(async () => {
  await socket.close();
  await rm(folder, { recursive: true });
});

function value<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const tlsRequest = {
  subject: 'svc',
  altNames: ['svc.example'],
  usageRaTls: true,
  usageServerAuth: true,
  usageClientAuth: true,
} as const;

describe('the simulated agent', () => {
  test('listens on a socket that only its owner may open', async () => {
    expect((await stat(socket.path)).mode & 0o777).toBe(0o600);
  });

  test('gives a certificate that is accepted under its own root and refused under the vendors', async () => {
    const { key, certificateChain } = value(await agent.getTlsKey(tlsRequest));
    const leaf = derOf(certificateChain[0]!);
    const context = peerContext();
    expect(appraisePeer(leaf, { context, policy }).refusals).toEqual([]);
    const vendors = { ...context, anchors: vendorAnchors };
    expect(appraisePeer(leaf, { context: vendors, policy }).refusals).toMatchObject([
      { code: 'root_not_pinned' },
    ]);
    expect(String(key)).toBe('[secret]');
    const [first, second, third] = certificateChain.map((pem) => new X509Certificate(pem));
    expect(first!.verify(second!.publicKey) && second!.verify(third!.publicKey)).toBe(true);
  });

  test('gives no evidence where none is asked for', async () => {
    const request = { ...tlsRequest, usageRaTls: false };
    const { certificateChain } = value(await agent.getTlsKey(request));
    const verdict = appraisePeer(derOf(certificateChain[0]!), { context: peerContext(), policy });
    expect(verdict.refusals).toMatchObject([{ code: 'evidence_missing' }]);
  });

  test('keeps the validity that is asked for', async () => {
    const notAfterMs = nowMs + 60_000;
    const { certificateChain } = value(
      await agent.getTlsKey({ ...tlsRequest, notBeforeMs: nowMs, notAfterMs }),
    );
    expect(Date.parse(new X509Certificate(certificateChain[0]!).validTo)).toBe(notAfterMs);
    const wrong = await agent.getTlsKey({ ...tlsRequest, notBeforeMs: notAfterMs, notAfterMs });
    expect(wrong).toMatchObject({ ok: false, error: { code: 'agent_refused' } });
  });

  test('quotes over the padded report data, and its answer verifies', async () => {
    const answer = value(await agent.getQuote(Uint8Array.of(1, 2)));
    const padded = new Uint8Array(64);
    padded.set([1, 2]);
    expect(answer.reportData).toEqual(padded);
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const json = {
      quote: hex(answer.quote),
      event_log: answer.eventLog,
      report_data: hex(answer.reportData),
    };
    const { findings, claims } = verifyQuoteAnswer(utf8(JSON.stringify(json)), contextOf());
    expect({ findings, reportData: claims?.reportData }).toEqual({
      findings: [],
      reportData: padded,
    });
  });

  test('attests in a form that verifies', async () => {
    const bytes = value(await agent.attest(new Uint8Array(64)));
    expect(verifyDstackAttestation(bytes, contextOf()).findings).toEqual([]);
  });

  test('names the workload and the machine as a verifier does', async () => {
    const info = value(await agent.info());
    const bytes = value(await agent.attest(new Uint8Array(64)));
    const { claims } = verifyDstackAttestation(bytes, contextOf());
    expect(info).toMatchObject({
      appId: claims?.workload?.appId,
      composeHash: claims?.workload?.composeHash,
      instanceId: claims?.workload?.instanceId,
      deviceId: claims?.deviceId,
    });
  });

  test('derives the same key for the same path and another for another', async () => {
    const key = async (path: string): Promise<string> =>
      value(await agent.getKey({ path, purpose: 'test' })).key.reveal();
    expect(await key('a')).toBe(await key('a'));
    expect(await key('a')).not.toBe(await key('b'));
  });

  test('signs with ed25519 and says so of anything else', async () => {
    const data = utf8('data');
    const { signature, publicKey } = value(await agent.sign('ed25519', data));
    const check = { algorithm: 'ed25519', data, signature, publicKey } as const;
    expect(await agent.verify(check)).toEqual({ ok: true, value: true });
    expect(await agent.verify({ ...check, data: utf8('other') })).toEqual({
      ok: true,
      value: false,
    });
    expect(await agent.sign('secp256k1', data)).toMatchObject({
      error: { code: 'agent_refused' },
    });
  });

  test('answers the rest: GPU, version, and an event that newer agents refuse', async () => {
    expect(value(await agent.gpuInfo())).toBe('');
    expect(value(await agent.version())).toEqual({ version: '0.5.9', rev: 'postern-simulator' });
    expect(await agent.emitEvent('x', utf8('y'))).toMatchObject({
      error: { code: 'agent_method_unknown' },
    });
  });

  test('speaks the predecessor too: report data is hashed with its prefix', async () => {
    const { quote, eventLog } = value(await tappd.tdxQuote({ reportData: utf8('hello') }));
    const reportData = nodeCrypto.sha512(utf8('app-data:hello'));
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const json = { quote: hex(quote), event_log: eventLog, report_data: hex(reportData) };
    expect(verifyQuoteAnswer(utf8(JSON.stringify(json)), contextOf()).findings).toEqual([]);
    expect(value(await tappd.rawQuote(new Uint8Array(64))).quote.length).toBe(5006);
    expect(value(await tappd.deriveKey({ path: '/', subject: 's' })).certificateChain.length).toBe(
      3,
    );
    expect(value(await tappd.info()).appId).toBe(simulator.app.appId);
  });
});

describe('the client', () => {
  const agentAt = (path: string, timeoutMs = 1000): DstackAgent =>
    new DstackAgent({ address: { kind: 'socket', path }, timeoutMs });

  async function withServer(
    answer: (server: Server) => void,
    use: (agent: DstackAgent) => Promise<void>,
  ): Promise<void> {
    const path = join(folder, 'odd.sock');
    const server = createServer();
    answer(server);
    server.listen(path);
    await once(server, 'listening');
    await use(agentAt(path, 200));
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }

  const answering =
    (status: number, body: string) =>
    (server: Server): void => {
      server.on('request', (_request, response) => {
        response.writeHead(status).end(body);
      });
    };

  test('says when nobody listens', async () => {
    expect(await agentAt(join(folder, 'none.sock')).info()).toMatchObject({
      error: { code: 'agent_unreachable' },
    });
  });

  test.each([
    [200, 'not json', 'agent_answer_malformed'],
    [200, '[]', 'agent_answer_malformed'],
    [200, '{"version":1}', 'agent_answer_malformed'],
    [500, '{"error":"no TDX device"}', 'agent_refused'],
    [404, '', 'agent_method_unknown'],
  ])('HTTP %d with %s is %s', async (status, body, code) => {
    await withServer(answering(status, body), async (odd) => {
      expect(await odd.version()).toMatchObject({ error: { code } });
    });
  });

  test("passes the agent's reason on", async () => {
    await withServer(answering(500, '{"error":"no TDX device"}'), async (odd) => {
      const result = await odd.version();
      expect(!result.ok && result.error.message).toBe('/Version: HTTP 500: no TDX device');
    });
  });

  test('ends a call that is not answered in time', async () => {
    await withServer(
      (server) => server.on('request', () => undefined),
      async (odd) => {
        expect(await odd.version()).toMatchObject({ error: { code: 'agent_timeout' } });
      },
    );
  });

  test('never cuts report data that is too long', () => {
    expect(() => agent.getQuote(new Uint8Array(65))).toThrow(RangeError);
  });
});

describe('finding the agent', () => {
  test('the variable comes first, and a wrong one finds nothing', () => {
    const everywhere = (): boolean => true;
    expect(findAgent({ DSTACK_AGENT_ADDRESS: 'unix:/a.sock' }, everywhere)).toEqual({
      address: { kind: 'socket', path: '/a.sock' },
      dialect: 'dstack',
    });
    expect(findAgent({ DSTACK_SIMULATOR_ENDPOINT: 'ftp://x' }, everywhere)).toBeUndefined();
  });

  test('sockets are tried in order, the predecessor last', () => {
    expect(findAgent({}, (path) => path === '/var/run/dstack.sock')?.address).toEqual({
      kind: 'socket',
      path: '/var/run/dstack.sock',
    });
    expect(findAgent({}, (path) => path.includes('tappd'))?.dialect).toBe('tappd');
    expect(findAgent({}, () => false)).toBeUndefined();
  });

  test('an address is a path or an http URL', () => {
    expect(parseAddress('http://127.0.0.1:8090')).toMatchObject({ kind: 'url' });
    expect(parseAddress('relative')).toBeUndefined();
  });
});
