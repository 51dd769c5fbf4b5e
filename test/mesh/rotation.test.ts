import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { renewAtMs } from '../../packages/server/src/mesh/index.ts';
import { at, callee, caller, type MeshNode, startCanary, startNode } from './world.ts';

const nodes: MeshNode[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.plane.close(0);
});

test('certificates change under load and no request is lost', async () => {
  const canary = await startCanary((message, response) => {
    message.resume();
    setTimeout(() => response.end('ok'), 2);
  });
  const backend = { kind: 'tcp', host: '127.0.0.1', port: canary.port } as const;
  const server = await startNode({
    simulator: callee,
    services: [{ port: 443, protocol: 'http', backend }],
  });
  const client = await startNode({
    simulator: caller,
    fixed: { [`${callee.app.appId}:443`]: [at(server.portOf('mesh-inbound'))] },
    // Most calls shake hands anew, in the middle of renewals.
    limits: { idlePerTargetMax: 1 },
  });
  nodes.push(client, server);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const over = new AbortController();
  const tally = { good: 0 };
  const failed: string[] = [];
  const worker = async (fresh: boolean): Promise<void> => {
    while (!over.signal.aborted) {
      const sent = request({
        host: '127.0.0.1',
        port: client.outboundPort,
        agent: fresh ? false : agent,
        headers: { 'x-dstack-target-app': callee.app.appId },
      });
      sent.end();
      const [message] = (await once(sent, 'response')) as [IncomingMessage];
      const body = await text(message);
      if (message.statusCode === 200 && body === 'ok') tally.good += 1;
      else failed.push(`${message.statusCode} ${body}`);
    }
  };
  const workers = [false, false, false, true, true].map(worker);
  let renewals = 0;
  while (renewals < 10 || tally.good < 100) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    await Promise.all([server.plane.renew(), client.plane.renew()]);
    renewals += 1;
  }
  over.abort();
  await Promise.all(workers);
  agent.destroy();
  await canary.close();
  expect(failed).toEqual([]);
  expect(server.plane.facts().counters.inboundPeers).toBeGreaterThan(10);
  expect(server.plane.facts().identity.renewals).toBe(renewals);
  expect(client.plane.facts().identity.renewals).toBe(renewals);
});

test('a certificate is renewed at half of its life, and of an hour at most', () => {
  const hourMs = 3_600_000;
  expect(renewAtMs({ notBeforeMs: 0, notAfterMs: hourMs })).toBe(hourMs / 2);
  expect(renewAtMs({ notBeforeMs: 0, notAfterMs: 600_000 })).toBe(300_000);
  expect(renewAtMs({ notBeforeMs: 0, notAfterMs: 24 * 365 * hourMs })).toBe(hourMs / 2);
});

test('without a certificate that still holds nobody is called', async () => {
  let offsetMs = 0;
  const client = await startNode({
    simulator: caller,
    nowMs: () => Date.now() + offsetMs,
    fixed: { [`${callee.app.appId}:443`]: [at(9)] },
  });
  nodes.push(client);
  offsetMs = 7_200_000;
  const sent = request({
    host: '127.0.0.1',
    port: client.outboundPort,
    headers: { 'x-dstack-target-app': callee.app.appId },
  });
  sent.end();
  const [message] = (await once(sent, 'response')) as [IncomingMessage];
  expect(message.statusCode).toBe(503);
  expect(await text(message)).toContain('our own certificate has ended');
});
