import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '../fakes/free-port.ts';
import { meshNginxFiles } from '../../packages/server/src/app/mesh/index.ts';
import {
  at,
  callee,
  caller,
  type Canary,
  type MeshNode,
  startCanary,
  startNode,
  stranger,
} from './world.ts';

const nginx = ['/usr/sbin/nginx', '/usr/bin/nginx'].find(
  (file) => spawnSync(file, ['-v']).status === 0,
);

describe.skipIf(nginx === undefined)('the nginx files, with a real nginx', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-nginx-'));
  let canary: Canary;
  let server: MeshNode;
  let client: MeshNode;
  let strange: MeshNode;
  let child: ReturnType<typeof spawn> | undefined;
  const ports = { plain: 0, tls: 0 };

  beforeAll(async () => {
    ports.plain = await freePort();
    ports.tls = await freePort();
    canary = await startCanary((message, response) => {
      message.resume();
      response.writeHead(201, [
        'x-app',
        message.headers['x-dstack-app-id']?.toString() ?? '',
        'x-jws',
        String((message.headers['x-postern-identity'] ?? '').length > 100),
        'x-cert',
        String(message.headers['x-client-cert'] ?? ''),
      ]);
      response.end(`served ${message.url}`);
    });
    server = await startNode({
      simulator: callee,
      auth: true,
      decide: async ({ peer, method, path: asked, port }) =>
        peer.appId === caller.app.appId && port === 443 && method === 'GET' && asked === '/api/data'
          ? { allowed: true, id: 'grant' }
          : { allowed: false, id: 'deny', reason: 'path' },
    });
    const fixed = { [`${callee.app.appId}:443`]: [at(ports.tls)] };
    client = await startNode({ simulator: caller, fixed });
    strange = await startNode({ simulator: stranger, fixed });
    const pair = callee.tlsKey({
      subject: 'nginx',
      altNames: [],
      usageRaTls: true,
      usageServerAuth: true,
      usageClientAuth: true,
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 3_000_000,
    });
    const file = (name: string, content: string): string => {
      const at_ = path.join(folder, name);
      writeFileSync(at_, content);
      chmodSync(at_, 0o600);
      return at_;
    };
    const files = meshNginxFiles({
      outbound: `127.0.0.1:${client.outboundPort}`,
      auth: `127.0.0.1:${server.portOf('mesh-auth')}`,
      backend: `127.0.0.1:${canary.port}`,
      listenPlain: `127.0.0.1:${ports.plain}`,
      listenTls: `127.0.0.1:${ports.tls}`,
      port: 443,
      certificateFile: file('server.crt', pair.chain.join('')),
      keyFile: file('server.key', pair.keyPem),
      rootsFile: file('roots.pem', pair.chain.at(-1) ?? ''),
    });
    if (!files.ok) throw new Error(files.error);
    for (const [name, content] of Object.entries(files.value)) file(name, content);
    file(
      'nginx.conf',
      `daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/error.log info;
events {}
http {
  access_log off;
  client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  include ${folder}/nginx-client-proxy.conf;
  include ${folder}/nginx-server-proxy.conf;
}
`,
    );
    child = spawn(nginx ?? '', ['-p', folder, '-c', path.join(folder, 'nginx.conf')], {
      stdio: 'ignore',
    });
    await vi.waitFor(() => ask('/', {}), { timeout: 10_000 });
  });
  afterAll(async () => {
    child?.kill();
    if (child !== undefined) await once(child, 'exit');
    for (const node of [client, strange, server]) await node?.plane.close(0);
    await canary?.close();
    rmSync(folder, { recursive: true });
  });

  async function ask(target: string, headers: Record<string, string>, port = ports.plain) {
    const sent = request({
      host: '127.0.0.1',
      port,
      path: target,
      agent: false,
      headers: { host: 'localhost', ...headers },
    });
    sent.end();
    const [message] = (await once(sent, 'response')) as [IncomingMessage];
    return { status: message.statusCode, headers: message.headers, body: await text(message) };
  }
  const app = { 'x-dstack-target-app': callee.app.appId };

  test('nginx -t finds nothing wrong with them', () => {
    const checked = spawnSync(
      nginx ?? '',
      ['-t', '-p', folder, '-c', path.join(folder, 'nginx.conf')],
      { encoding: 'utf8' },
    );
    expect(checked.stderr).toContain('test is successful');
    expect(checked.stderr).not.toContain('[warn]');
  });
  test('the call of the original: port 80, the way out, port 443, the auth service, the program', async () => {
    const answer = await ask('/api/data', {
      ...app,
      'x-dstack-app-id': 'ff'.repeat(20),
      'x-client-cert': 'forged',
    });
    expect(answer).toMatchObject({ status: 201, body: 'served /api/data' });
    expect(answer.headers['x-app']).toBe(caller.app.appId);
    expect(answer.headers['x-jws']).toBe('true');
    expect(answer.headers['x-cert']).toBe('');
  });
  test('what no grant allows, and who is not believed, is refused before the program', async () => {
    const before = canary.bytes();
    expect((await ask('/api/other', app)).status).toBe(403);
    expect((await ask('/api/data', app, strange.outboundPort)).status).toBe(401);
    expect(canary.bytes()).toBe(before);
  });
});

test('names that would end a directive are refused', () => {
  const plan = {
    outbound: '127.0.0.1:1',
    auth: '127.0.0.1:2',
    backend: 'x; } evil',
    listenPlain: '80',
    listenTls: '443',
    port: 443,
    certificateFile: '/a',
    keyFile: '/b',
    rootsFile: '/c',
  };
  expect(meshNginxFiles(plan).ok).toBe(false);
});
