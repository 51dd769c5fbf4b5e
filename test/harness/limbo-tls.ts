/** An x509-limbo case as a real TLS handshake on loopback: what Node's own verification says. */
import { isIP } from 'node:net';
import tls from 'node:tls';
import type { LimboCase } from './limbo.ts';

const handshakeMsMax = 5_000;

/** Resolves when the handshake is over, with what the side that checks thinks of the other. */
function handshake(limbo: LimboCase, key: string): Promise<boolean> {
  const isServer = limbo.validation_kind === 'SERVER';
  const cert = [limbo.peer_certificate, ...limbo.untrusted_intermediates].join('\n');
  const ca = [...limbo.trusted_certs];
  const crl = limbo.crls && limbo.crls.length > 0 ? { crl: [...limbo.crls] } : {};
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = tls.createServer(
    isServer
      ? { cert, key }
      : { cert, key, ca, ...crl, requestCert: true, rejectUnauthorized: false },
  );
  server.on('secureConnection', (socket) => {
    if (!isServer) resolve(socket.authorized);
    socket.on('error', () => undefined);
  });
  server.on('tlsClientError', () => {
    if (!isServer) resolve(false);
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const expected = limbo.expected_peer_name?.value ?? 'localhost';
    const client = tls.connect({
      host: '127.0.0.1',
      port,
      ...(isServer
        ? { ca, ...crl, checkServerIdentity: (_, peer) => tls.checkServerIdentity(expected, peer) }
        : { cert, key, rejectUnauthorized: false }),
      ...(isIP(expected) === 0 ? { servername: expected } : {}),
    });
    client.on('secureConnect', () => {
      if (isServer) resolve(client.authorized);
    });
    client.on('error', () => {
      if (isServer) resolve(false);
    });
    client.setTimeout(handshakeMsMax, () => resolve(false));
    void promise.finally(() => {
      client.destroy();
      server.close();
    });
  });
  return promise;
}

/** Whether a TLS handshake of this Node accepts the case; undefined where it cannot be asked. */
export async function tlsVerdict(limbo: LimboCase): Promise<boolean | undefined> {
  if (typeof limbo.validation_time === 'string') return undefined;
  if (typeof limbo.max_chain_depth === 'number') return undefined;
  const key = limbo.peer_certificate_key;
  if (typeof key !== 'string') return undefined;
  try {
    return await handshake(limbo, key);
  } catch {
    // A certificate or key that the TLS stack does not even load is refused.
    return false;
  }
}
