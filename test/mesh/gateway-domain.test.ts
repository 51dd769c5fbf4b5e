/** The domain of a gateway is believed when a call to ourselves through it arrives at ourselves, and not before. */
import { createServer as createHttp } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ok } from '@postern/core/base';
import { parseConfig } from '@postern/core/contract';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { searchGateway } from '../../packages/server/src/app/mesh/gateway-domain.ts';
import { loadTrust } from '../../packages/server/src/app/mesh/trust.ts';
import { createLazyEgress } from '../../packages/server/src/app/egress.ts';
import type { GatewayDomain } from '../../packages/server/src/mesh/index.ts';
import { at, callee, caller, type MeshNode, startNode } from './world.ts';

const egress = createLazyEgress();
const nodes: MeshNode[] = [];
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.plane.close(0)));
  await egress.close();
});

async function gateway(answer: unknown): Promise<{ url: string; close(): void }> {
  const server = createHttp((message, response) => {
    message.resume();
    response.end(message.url === '/prpc/Info' ? JSON.stringify(answer) : '{}');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  // A TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

function search(
  url: string,
  verify: (
    domain: GatewayDomain,
  ) => ReturnType<NonNullable<Parameters<typeof searchGateway>[0]['verify']>>,
): { found: GatewayDomain[]; problems: string[]; close(): void } {
  const found: GatewayDomain[] = [];
  const problems: string[] = [];
  const running = searchGateway({
    urls: [url],
    egress: egress.egress,
    verify,
    onFound: (domain) => found.push(domain),
    onProblem: (problem) => problems.push(problem),
  });
  return { found, problems, close: () => running.close() };
}

async function door(simulator: typeof callee): Promise<MeshNode> {
  const backend = { kind: 'tcp', host: '127.0.0.1', port: 1 } as const;
  const node = await startNode({ simulator, services: [{ port: 443, protocol: 'http', backend }] });
  nodes.push(node);
  return node;
}

describe('a gateway', () => {
  test('that leads to ourselves gives its domain', async () => {
    const own = await door(callee);
    const info = await gateway({ base_domain: 'apps.example.com', external_port: 9_443 });
    const names: string[] = [];
    const running = search(info.url, (domain) =>
      own.plane.probe({
        port: 443,
        protocol: 'http/1.1',
        candidateOf: ({ appId }) => {
          names.push(`${appId} ${JSON.stringify(domain)}`);
          return at(own.portOf('mesh-inbound'));
        },
      }),
    );
    await vi.waitFor(() => expect(running.found).toHaveLength(1), { timeout: 5_000 });
    expect(running.found).toEqual([{ kind: 'domain', domain: 'apps.example.com', port: 9_443 }]);
    expect(names[0]).toContain(callee.app.appId);
    running.close();
    info.close();
  });

  test('that leads to another app does not, however it calls itself', async () => {
    const own = await door(callee);
    const other = await door(caller);
    const info = await gateway({ base_domain: 'evil.example', external_port: 443 });
    const running = search(info.url, () =>
      own.plane.probe({
        port: 443,
        protocol: 'http/1.1',
        candidateOf: () => at(other.portOf('mesh-inbound')),
      }),
    );
    await vi.waitFor(() => expect(running.problems).toHaveLength(1), { timeout: 5_000 });
    expect(running.problems[0]).toContain('target_app_mismatch');
    expect(running.found).toEqual([]);
    running.close();
    info.close();
  });

  test.each([[{}], [{ base_domain: 'x/../y', external_port: 443 }], [{ base_domain: '10.0.0.1' }]])(
    'that answers %j gives none',
    async (answer) => {
      const info = await gateway(answer);
      const running = search(info.url, async () => ok(undefined));
      await vi.waitFor(() => expect(running.problems).toHaveLength(1), { timeout: 5_000 });
      expect(running.found).toEqual([]);
      running.close();
      info.close();
    },
  );
});

test('a bundle of a trust domain is read from its file', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-trust-'));
  const file = path.join(folder, 'bundle.json');
  writeFileSync(file, JSON.stringify({ keys: [], spiffe_sequence: 3 }));
  const parsed = parseConfig({ mesh: { trust: { bundles: { 'example.org': file } } } });
  const mesh = 'config' in parsed ? parsed.config.mesh : undefined;
  if (mesh === undefined) throw new Error('the configuration is valid');
  const loaded = await loadTrust(mesh, 1);
  expect(loaded.ok && [...loaded.value.bundles.keys()]).toEqual(['example.org']);
  rmSync(folder, { recursive: true });
});
