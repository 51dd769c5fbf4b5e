import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What a local tailscaled says of itself; tests change it while it runs. */
export interface FakeTailscaled {
  readonly socket: string;
  status: Record<string, unknown>;
  serve: Record<string, unknown>;
  close(): Promise<void>;
}

export const runningStatus = {
  BackendState: 'Running',
  TUN: true,
  TailscaleIPs: ['100.64.0.1'],
  Self: { DNSName: 'ai.mesh.internal.', Tags: ['tag:gateway'], Relay: 'nyc' },
  CurrentTailnet: { MagicDNSSuffix: 'mesh.internal', MagicDNSEnabled: true },
};

/** The LocalAPI of a tailscaled as far as operators ask it: its status and what Serve is set to. */
export async function startFakeTailscaled(): Promise<FakeTailscaled> {
  const folder = await mkdtemp(path.join(tmpdir(), 'postern-tsd-'));
  const socket = path.join(folder, 'tailscaled.sock');
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const route = (request.url ?? '').replace('/localapi/v0/', '').replace(/\?.*/, '');
      if (route === 'serve-config' && request.method === 'POST') {
        // Whoever set it wrote JSON.
        fake.serve = JSON.parse(body) as Record<string, unknown>;
        response.end();
      } else if (route === 'serve-config') response.end(JSON.stringify(fake.serve));
      else if (route === 'status') response.end(JSON.stringify(fake.status));
      else {
        response.statusCode = 404;
        response.end();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const fake: FakeTailscaled = {
    socket,
    status: runningStatus,
    serve: {},
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
  return fake;
}
