import { Agent } from 'node:http';
import { once } from 'node:events';
import { createFront } from '../../../packages/server/src/mesh/front.ts';
import { meshLimits } from '../../../packages/server/src/mesh/index.ts';
import { relay } from '../../../packages/server/src/mesh/relay.ts';
import { requestFields } from '../../../packages/server/src/mesh/fields.ts';
import { at, callee, caller, startNode } from '../../mesh/world.ts';
import type { Door } from './client.ts';

export interface MeshDoors {
  readonly doors: ReadonlyMap<string, Door>;
  close(): Promise<void>;
}

const servicePort = 443;

/**
 * The listeners of the mesh before the same echo: the way out through the way in of another machine, the way in by itself
 * with a caller's certificate, and the reader of the auth service, which itself has nothing that it could echo.
 */
export async function openMeshDoors(echoPort: number): Promise<MeshDoors> {
  const backend = { kind: 'tcp', host: '127.0.0.1', port: echoPort } as const;
  const server = await startNode({
    simulator: callee,
    services: [{ port: servicePort, protocol: 'http', backend }],
  });
  const inbound = server.portOf('mesh-inbound');
  const { appId } = callee.app;
  const client = await startNode({
    simulator: caller,
    fixed: { [`${appId}:${servicePort}`]: [at(inbound)] },
  });
  const { keyPem, chain } = caller.tlsKey({
    subject: 'caller',
    altNames: ['caller'],
    usageRaTls: true,
    usageServerAuth: true,
    usageClientAuth: true,
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 3_000_000,
  });
  const front = await openFront(echoPort);
  const host = '127.0.0.1';
  const doors = new Map<string, Door>([
    [
      'mesh outbound',
      {
        kind: 'tcp',
        host,
        port: client.outboundPort,
        insert: `X-Dstack-Target-App: ${appId}\r\n`,
      },
    ],
    [
      'mesh inbound',
      {
        kind: 'tls',
        host,
        port: inbound,
        // Its certificate is judged by evidence, which this client does not read.
        caPem: undefined,
        client: { key: keyPem, cert: chain.slice(0, -1).join('\n') },
      },
    ],
    ['mesh auth', { kind: 'tcp', host, port: front.port }],
  ]);
  const close = async (): Promise<void> => {
    await Promise.all([client.plane.close(0), server.plane.close(0), front.close()]);
  };
  return { doors, close };
}

/** What stands before the auth service, as it stands there, and behind it the echo. */
async function openFront(
  echoPort: number,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const agent = new Agent({ keepAlive: true });
  const server = createFront({
    limits: meshLimits,
    hosts: ['localhost', '127.0.0.1'],
    onRequest: ({ message, head }, response) => {
      void relay(message, response, {
        agent,
        place: { host: '127.0.0.1', port: echoPort },
        method: head.method,
        target: message.url ?? '/',
        fields: requestFields(message.rawHeaders),
        expectsContinue: head.expectsContinue,
        mayRepeat: () => true,
        limits: meshLimits,
      });
    },
    onUpgrade: (_request, socket) => socket.destroy(),
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    agent.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port, close };
}
