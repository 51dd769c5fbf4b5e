/** Stand-ins for what gives AWS credentials: instance metadata (IMDSv2 alone), the container agent, STS. */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeIdentitySource {
  readonly url: string;
  /** Method and path of each request, in order. */
  readonly asked: readonly string[];
  /** What it gives next. */
  give(identity: GivenIdentity): void;
  close(): Promise<void>;
}

export interface GivenIdentity {
  readonly id: string;
  readonly secret: string;
  readonly token: string;
  readonly expiresAt: Date;
}

type Answer = readonly [status: number, body: string];
type Handle = (request: http.IncomingMessage, identity: GivenIdentity, body: string) => Answer;

/** Refuses whoever comes without a token of its own, as an instance that requires version 2 does. */
export function startFakeMetadata(region: string): Promise<FakeIdentitySource> {
  const session = 'imds-session-canary';
  return startSource((request, identity) => {
    const { method, url, headers } = request;
    if (url === '/latest/api/token') {
      return method === 'PUT' && headers['x-aws-ec2-metadata-token-ttl-seconds'] !== undefined
        ? [200, session]
        : [405, ''];
    }
    if (headers['x-aws-ec2-metadata-token'] !== session) return [401, ''];
    if (url === '/latest/meta-data/placement/region') return [200, region];
    if (url === '/latest/meta-data/iam/security-credentials/') return [200, 'gateway-role'];
    if (url === '/latest/meta-data/iam/security-credentials/gateway-role')
      return [200, jsonOf(identity, 'Code')];
    return [404, ''];
  });
}

/** The agent of a container: one path, a token in `Authorization`. */
export function startFakeContainerAgent(token: string): Promise<FakeIdentitySource> {
  return startSource(({ url, headers }, identity) => {
    if (headers.authorization !== token) return [403, ''];
    return url === '/v1/credentials' ? [200, jsonOf(identity, 'RoleArn')] : [404, ''];
  });
}

/** `AssumeRoleWithWebIdentity`, unsigned as it is. */
export function startFakeSts(webToken: string): Promise<FakeIdentitySource> {
  return startSource((_request, identity, body) => {
    const fields = new URLSearchParams(body);
    if (fields.get('WebIdentityToken') !== webToken) return [403, ''];
    return [
      200,
      `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>${identity.id}</AccessKeyId><SecretAccessKey>${identity.secret}</SecretAccessKey><SessionToken>${identity.token}</SessionToken><Expiration>${identity.expiresAt.toISOString()}</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn><AssumedRoleId>A:s</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
    ];
  });
}

function jsonOf(identity: GivenIdentity, extra: string): string {
  return JSON.stringify({
    [extra]: 'Success',
    AccessKeyId: identity.id,
    SecretAccessKey: identity.secret,
    Token: identity.token,
    Expiration: identity.expiresAt.toISOString(),
  });
}

async function startSource(handle: Handle): Promise<FakeIdentitySource> {
  const asked: string[] = [];
  let given: GivenIdentity = { id: '', secret: '', token: '', expiresAt: new Date(0) };
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => {
      body += piece.toString('utf8');
    });
    request.on('end', () => {
      asked.push(`${request.method} ${request.url}`);
      const [status, text] = handle(request, given, body);
      response
        .writeHead(status, { 'content-type': text.startsWith('<') ? 'text/xml' : 'text/plain' })
        .end(text);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    give: (identity) => {
      given = identity;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
