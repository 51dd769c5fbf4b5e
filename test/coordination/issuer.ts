/** An OpenID Connect issuer for tests: whoever is `next` signs in. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export interface Person {
  readonly sub: string;
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly name?: string;
}

export interface TestIssuer {
  readonly url: string;
  next: Person;
  /** What a browser would bring back from `location`. */
  answer(location: string): URL;
  close(): Promise<void>;
}

export async function startIssuer(clientId: string, host = '127.0.0.1'): Promise<TestIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256', use: 'sig' };
  const nonces = new Map<string, string>();
  const server = createServer((request, response) => {
    void (async () => {
      const send = (body: object): void => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(body));
      };
      if (request.url === '/.well-known/openid-configuration') {
        return send({
          issuer: issuer.url,
          authorization_endpoint: `${issuer.url}/authorize`,
          token_endpoint: `${issuer.url}/token`,
          jwks_uri: `${issuer.url}/jwks`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
        });
      }
      if (request.url === '/jwks') return send({ keys: [jwk] });
      const form = new URLSearchParams(await text(request));
      const nonce = nonces.get(form.get('code') ?? '');
      const { sub, ...claims } = issuer.next;
      const token = await new SignJWT({ ...claims, nonce })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .setIssuer(issuer.url)
        .setAudience(clientId)
        .setSubject(sub)
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey);
      send({ access_token: 'a', token_type: 'Bearer', expires_in: 300, id_token: token });
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  const issuer: TestIssuer = {
    url: `http://${host}:${port}`,
    next: { sub: 'nobody' },
    answer: (location) => {
      const asked = new URL(location).searchParams;
      const code = `code-${nonces.size}`;
      nonces.set(code, asked.get('nonce') ?? '');
      const back = new URL(asked.get('redirect_uri') ?? '');
      back.searchParams.set('code', code);
      back.searchParams.set('state', asked.get('state') ?? '');
      back.searchParams.set('iss', issuer.url);
      return back;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return issuer;
}
