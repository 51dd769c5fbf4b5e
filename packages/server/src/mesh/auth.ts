import type { ServerResponse } from 'node:http';
import { X509Certificate } from 'node:crypto';
import { sendOwn } from './answer.ts';
import type { Assertions } from './assertion.ts';
import type { MeshCounters } from './counters.ts';
import { appIdField, assertionField, single } from './fields.ts';
import { createFront, type FrontRequest } from './front.ts';
import { judgeChain } from './handshake.ts';
import type { Judge } from './judge.ts';
import type { MeshDoor } from './outbound.ts';
import { refusalText } from './peer.ts';
import type { DecideMesh, RecordMesh } from './ports.ts';

export interface AuthOptions {
  readonly judge: Judge;
  readonly decide: DecideMesh;
  readonly assertions: Assertions;
  readonly record: RecordMesh;
  readonly counters: MeshCounters;
  readonly hosts: readonly string[];
  /** The service's port where nginx does not say it. */
  readonly port: number;
}

const certificateCharsMax = 131_072;
const authFields = {
  verify: 'x-client-verify',
  certificate: 'x-client-cert',
  method: 'x-original-method',
  target: 'x-original-uri',
  port: 'x-original-port',
} as const;

/**
 * The answer to nginx's `auth_request`: who holds the certificate that nginx saw, and may they. nginx says that the caller
 * has the key, which only it can know; everything else about the certificate is judged here in full.
 */
export function createAuth(options: AuthOptions): MeshDoor {
  const limits = { ...options.judge.limits, headBytesMax: certificateCharsMax };
  const server = createFront({
    limits,
    hosts: options.hosts,
    onRequest: (request, response) => {
      void serve(request, response, options);
    },
    onUpgrade: (_request, socket) => socket.destroy(),
  });
  return { server, drain: () => server.closeIdleConnections() };
}

async function serve(
  { message, head }: FrontRequest,
  response: ServerResponse,
  options: AuthOptions,
): Promise<void> {
  message.resume();
  const { remoteAddress } = message.socket;
  // Whoever is on another machine is not our nginx, whatever address this listens on.
  if (remoteAddress === undefined || !isLoopback(remoteAddress)) {
    message.socket.destroy();
    return;
  }
  if (head.path === '/health') {
    answerJson(response, 200, { status: 'ok' });
  } else if (head.path === '/.well-known/jwks.json') {
    answerJson(response, 200, options.assertions.jwks());
  } else if (head.path === '/auth') {
    await authorize(message.rawHeaders, response, options);
  } else {
    sendOwn(response, { code: 'not_found', message: 'There is only /auth and /health here.' });
  }
}

async function authorize(
  raw: readonly string[],
  response: ServerResponse,
  options: AuthOptions,
): Promise<void> {
  const { judge, decide, assertions, record, counters } = options;
  const chain = chainOf(raw);
  const asked = askedOf(raw, options.port);
  const base = { edge: 'auth', atMs: judge.nowMs(), remote: undefined, ...asked } as const;
  if (chain === undefined || asked === undefined) {
    counters.authDenied += 1;
    record({
      ...base,
      port: options.port,
      method: undefined,
      path: undefined,
      peer: undefined,
      outcome: 'refused',
      why: 'certificate_missing',
      code: 'certificate_missing',
    });
    deny(response, 401, 'credential_missing', 'no verified client certificate');
    return;
  }
  const judged = await judgeChain(judge, chain, 'client');
  if (!judged.ok) {
    counters.authDenied += 1;
    const why = refusalText(judged.error);
    const code = judged.error[0]?.code;
    counters.refuse(code ?? 'other');
    record({ ...base, peer: undefined, outcome: 'refused', why, code, ...asked });
    deny(response, 401, 'credential_invalid', why);
    return;
  }
  const peer = judged.value;
  const answer = await decide({ peer, ...asked });
  record({
    ...base,
    peer,
    outcome: answer.allowed ? 'allowed' : 'denied',
    why: answer.id,
    code: answer.allowed ? undefined : answer.reason,
    ...asked,
  });
  if (!answer.allowed) {
    counters.authDenied += 1;
    deny(response, 403, 'access_denied', `${answer.reason}; ${answer.id}`);
    return;
  }
  counters.authAllowed += 1;
  response.writeHead(200, {
    ...(peer.appId === undefined ? {} : { [appIdField]: peer.appId }),
    [assertionField]: assertions.about(peer, asked.port),
    'content-length': 0,
  });
  response.end();
}

/** The certificate, where nginx says that its holder has the key and that it leads to a root we named. */
function chainOf(raw: readonly string[]): readonly Uint8Array[] | undefined {
  const verify = single(raw, authFields.verify);
  const certificate = single(raw, authFields.certificate);
  if (verify.isTwice || verify.value !== 'SUCCESS') return undefined;
  const { value } = certificate;
  if (certificate.isTwice || value === undefined || value.length > certificateCharsMax)
    return undefined;
  try {
    // Of several certificates the first would be read: nginx passes the leaf alone.
    const pem = decodeURIComponent(value);
    if (pem.split('-----BEGIN CERTIFICATE-----').length !== 2) return undefined;
    return [new Uint8Array(new X509Certificate(pem).raw)];
  } catch {
    return undefined;
  }
}

/** What nginx asks about: undefined where a field is malformed. Without method and path only rules about neither hold. */
function askedOf(
  raw: readonly string[],
  portDefault: number,
):
  | {
      readonly port: number;
      readonly method: string | undefined;
      readonly path: string | undefined;
    }
  | undefined {
  const method = single(raw, authFields.method);
  const target = single(raw, authFields.target);
  const port = single(raw, authFields.port);
  if (method.isTwice || target.isTwice || port.isTwice) return undefined;
  const number = port.value === undefined ? portDefault : Number(port.value);
  if (!Number.isInteger(number) || number < 1 || number > 65_535) return undefined;
  const path = target.value?.split('?', 1)[0];
  // nginx decides by the normalized path and passes the raw one: what reads in two ways is not decided.
  if (path !== undefined && !isPlainPath(path)) return undefined;
  return { port: number, method: method.value, path };
}

function isPlainPath(path: string): boolean {
  return /^\/[\x21-\x7e]*$/.test(path) && !/\/\/|\/\.{1,2}(?:\/|$)|%2f|%5c|%2e|%00|\\/i.test(path);
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/.test(address);
}

function deny(
  response: ServerResponse,
  status: number,
  code: 'credential_missing' | 'credential_invalid' | 'access_denied',
  why: string,
): void {
  sendOwn(response, { code, status, message: `Refused: ${why}.` });
}

function answerJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}
