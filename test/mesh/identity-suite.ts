/** What every source of our own identity promises, whatever stands behind it. */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { inspect } from 'node:util';
import { text } from 'node:stream/consumers';
import { parseCertificate } from '@postern/core/attest/x509';
import { describe, expect, test } from 'vitest';
import type { IdentitySource, MeshTrust } from '../../packages/server/src/mesh/index.ts';
import { at, callee, type MeshNode, startCanary, startNode } from './world.ts';

/** One source under test, and what its peers must believe. */
export interface IdentityRig {
  /** The source of a machine that is `app`; each call makes another machine. */
  source(app: string): Promise<IdentitySource>;
  readonly trust: () => MeshTrust;
  /** Makes whatever stands behind give something new. Absent: the next `issue` does. */
  readonly renew?: () => void;
  /** Takes away whatever stands behind. */
  fail(): void;
  close(): Promise<void>;
}

const never = new AbortController().signal;
const hourMs = 3_600_000;

export function identitySuite(name: string, open: () => Promise<IdentityRig>): void {
  describe(`an identity by ${name}`, () => {
    async function rigged(use: (rig: IdentityRig) => Promise<void>): Promise<void> {
      const rig = await open();
      try {
        await use(rig);
      } finally {
        await rig.close();
      }
    }

    test('lives an hour at most, begins before now and shows its key to nobody', () =>
      rigged(async (rig) => {
        const issued = await (await rig.source(callee.app.appId)).issue(never);
        if (!issued.ok) throw new Error(issued.error);
        const { notBeforeMs, notAfterMs, chain } = issued.value;
        expect(notAfterMs - notBeforeMs).toBeLessThanOrEqual(hourMs);
        expect(notBeforeMs).toBeLessThan(Date.now());
        expect(chain.length).toBeGreaterThan(0);
        expect(inspect(issued.value, { depth: 9, showHidden: true })).not.toContain('PRIVATE');
        expect(JSON.stringify(issued.value)).not.toContain('PRIVATE');
      }));

    test('is believed in both roles, and changes under open connections without losing a request', () =>
      rigged(async (rig) => {
        const canary = await startCanary();
        const backend = { kind: 'tcp', host: '127.0.0.1', port: canary.port } as const;
        const [serverSource, clientSource] = [
          await rig.source(callee.app.appId),
          await rig.source(callee.app.appId),
        ];
        const server = await startNode({
          simulator: callee,
          source: serverSource,
          trust: rig.trust,
          services: [{ port: 443, protocol: 'http', backend }],
        });
        const fixed = { [`${callee.app.appId}:443`]: [at(server.portOf('mesh-inbound'))] };
        const shared = { simulator: callee, source: clientSource, trust: rig.trust, fixed };
        const kept = await startNode(shared);
        const fresh = await startNode({ ...shared, limits: { idlePerTargetMax: 1 } });
        const agent = new Agent({ keepAlive: true });
        try {
          expect(await call(kept, agent)).toBe('200 ok');
          const [open] = kept.plane.peers();
          const before = open?.peer.certificateHash;
          rig.renew?.();
          await Promise.all([server.plane.renew(), kept.plane.renew(), fresh.plane.renew()]);
          await expect.poll(() => server.plane.facts().identity.renewals).toBeGreaterThan(0);
          expect(await call(kept, agent)).toBe('200 ok');
          expect(kept.plane.peers()[0]?.peer.certificateHash).toBe(before);
          expect(await call(fresh, agent)).toBe('200 ok');
          expect(fresh.plane.peers()[0]?.peer.certificateHash).not.toBe(before);
        } finally {
          agent.destroy();
          for (const node of [fresh, kept, server]) await node.plane.close(0);
          await canary.close();
        }
      }));

    test('has a new key for each certificate', () =>
      rigged(async (rig) => {
        const source = await rig.source(callee.app.appId);
        const keyOf = async () => {
          const issued = await source.issue(never);
          if (!issued.ok) throw new Error(issued.error);
          // Not Node's own reader: it takes the PEM inside evidence for the certificate.
          const leaf = parseCertificate(issued.value.chain[0] ?? new Uint8Array());
          return leaf.ok ? Buffer.from(leaf.value.spki).toString('hex') : leaf.error.detail;
        };
        const first = await keyOf();
        rig.renew?.();
        await expect.poll(keyOf).not.toBe(first);
      }));

    test('keeps what it has while its source is away, and says why', () =>
      rigged(async (rig) => {
        const source = await rig.source(callee.app.appId);
        const node = await startNode({ simulator: callee, source, trust: rig.trust });
        try {
          rig.fail();
          await node.plane.renew();
          const { identity } = node.plane.facts();
          expect(identity.notAfterMs).toBeGreaterThan(Date.now());
          const answer = await fetch(`${node.outbound}/health`);
          expect(answer.status).toBe(200);
        } finally {
          await node.plane.close(0);
        }
      }));

    test('is a sentence where there is none, never an exception', () =>
      rigged(async (rig) => {
        const source = await rig.source(callee.app.appId);
        rig.fail();
        const issued = await source.issue(AbortSignal.timeout(2_000));
        expect(issued.ok ? 'none' : issued.error.length).toBeGreaterThan(5);
      }));
  });
}

export async function call(node: MeshNode, agent: Agent): Promise<string> {
  const sent = request({
    host: '127.0.0.1',
    port: node.outboundPort,
    agent,
    headers: { 'x-dstack-target-app': callee.app.appId },
  });
  sent.end();
  // The event has the message alone.
  const [message] = (await once(sent, 'response')) as [IncomingMessage];
  return `${message.statusCode} ${await text(message)}`;
}
