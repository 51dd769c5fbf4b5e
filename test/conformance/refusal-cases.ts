import http from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '@postern/core/errors';
import { openListener } from '@postern/server/http';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway, waitFor } from './gateway.ts';

/** An answer as it came over the socket. */
export interface Wire {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What the cases talk to. */
export interface World {
  /** With a configuration: three keys, and one provider for each way of failing. */
  readonly gateway: TestGateway;
  /** The same with two connections at most, and a local operator. */
  readonly narrow: TestGateway;
  readonly upstream: ScriptedUpstream;
  readonly keys: Readonly<Record<'wide' | 'capped' | 'stranger' | 'broke', string>>;
}

/** One way to be refused, and what the caller reads: literals, because programs compare with them. */
export interface RefusalCase {
  readonly status: number;
  /** Absent where the admin API answers: its envelope has codes and no types. */
  readonly type?: string;
  readonly code: string | null;
  provoke(world: World): Promise<Wire>;
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly key?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly port?: number;
}

export function call({ gateway, keys }: World, options: Call = {}): Promise<Wire> {
  const body = options.body ?? '';
  const lines = [
    `${options.method ?? 'POST'} ${options.path ?? '/v1/chat/completions'} HTTP/1.1`,
    ...(options.headers?.some((line) => line.startsWith('Host:')) === true
      ? []
      : ['Host: 127.0.0.1']),
    `Authorization: Bearer ${options.key ?? keys.wide}`,
    ...(options.headers ?? ['Connection: close']),
    ...(body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
  ];
  return exchange(options.port ?? gateway.port, `${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** Sends bytes as they are and reads until the listener closes or the declared body is complete. */
export function exchange(port: number, text: string): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    const finish = (): void => {
      const wire = wireOf(answer);
      socket.destroy();
      if (wire === undefined) reject(new Error(`no whole answer: ${JSON.stringify(answer)}`));
      else resolve(wire);
    };
    socket.setEncoding('latin1');
    socket.on('connect', () => socket.write(text, 'latin1'));
    socket.on('data', (piece: string) => {
      answer += piece;
      if (wireOf(answer) !== undefined) finish();
    });
    socket.on('close', finish);
    socket.on('error', () => undefined);
  });
}

function wireOf(answer: string): Wire | undefined {
  const end = answer.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = answer.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = answer.slice(end + 4);
  if (body.length < Number(headers['content-length'] ?? Infinity)) return undefined;
  // Every refusal is a JSON object; anything else fails the test here.
  const parsed = JSON.parse(Buffer.from(body, 'latin1').toString('utf8')) as Wire['body'];
  return { status: Number(first.split(' ')[1]), headers, body: parsed };
}

export function chat(model: string, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], ...more });
}

const upstreamSays =
  (status: number, message = 'no') =>
  (world: World): Promise<Wire> => {
    world.upstream.expect({ status, pieces: [JSON.stringify({ error: { message } })] });
    return call(world, { body: chat('up/m') });
  };

const invalid = { status: 400, type: 'invalid_request_error' } as const;
const unauthorized = { status: 401, type: 'invalid_request_error' } as const;
const upstreamFault = { status: 502, type: 'server_error' } as const;

/** Unsigned on purpose: it is never verified, because the keys of its issuer cannot be had. */
function tokenOf(issuer: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1_000) + 600;
  return `${part({ alg: 'ES256', kid: 'k' })}.${part({ iss: issuer, aud: 'postern', sub: 's', exp })}.${'A'.repeat(86)}`;
}

export const unreachableIssuer = 'https://issuer.invalid';

/** One case for each code that can reach a caller. */
export const refusalCases: Readonly<Partial<Record<ErrorCode, RefusalCase>>> = {
  malformed_http: {
    ...invalid,
    code: 'malformed_http',
    provoke: (world) => call(world, { body: '{}', headers: ['Content-Length: 3'] }),
  },
  forbidden_header: {
    ...invalid,
    code: 'forbidden_header',
    provoke: (world) => call(world, { headers: ['Connection: Tailscale-User-Login'] }),
  },
  host_not_allowed: {
    status: 403,
    type: 'invalid_request_error',
    code: 'host_not_allowed',
    provoke: (world) => call(world, { headers: ['Host: evil.example'] }),
  },
  origin_not_allowed: {
    status: 403,
    type: 'invalid_request_error',
    code: 'origin_not_allowed',
    provoke: (world) => call(world, { headers: ['Origin: https://evil.example'] }),
  },
  not_found: {
    status: 404,
    type: 'invalid_request_error',
    code: 'not_found',
    provoke: (world) => call(world, { path: '/v1/nothing' }),
  },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    code: 'method_not_allowed',
    provoke: (world) => call(world, { method: 'GET', path: '/ask' }),
  },
  request_timeout: {
    status: 408,
    type: 'invalid_request_error',
    code: 'request_timeout',
    provoke: (world) => call(world, { headers: ['Content-Length: 100'] }),
  },
  body_too_large: {
    status: 413,
    type: 'invalid_request_error',
    code: 'body_too_large',
    provoke: (world) => call(world, { body: chat('up/m', { user: 'x'.repeat(3_000) }) }),
  },
  uri_too_long: {
    status: 414,
    type: 'invalid_request_error',
    code: 'uri_too_long',
    provoke: (world) => call(world, { path: `/${'a'.repeat(9_000)}` }),
  },
  unsupported_encoding: {
    status: 415,
    type: 'invalid_request_error',
    code: 'unsupported_encoding',
    provoke: (world) => call(world, { body: '{}', headers: ['Content-Encoding: gzip'] }),
  },
  headers_too_large: {
    status: 431,
    type: 'invalid_request_error',
    code: 'headers_too_large',
    provoke: (world) => call(world, { headers: [`X-Long: ${'a'.repeat(40_000)}`] }),
  },
  invalid_json: {
    ...invalid,
    code: 'invalid_json',
    provoke: (world) => call(world, { body: '{"model":"up/m","model":"up/n"}' }),
  },
  invalid_request: {
    ...invalid,
    code: null,
    provoke: (world) => call(world, { body: '{"model":"up/m"}' }),
  },
  unsupported_parameter: {
    ...invalid,
    code: 'unsupported_parameter',
    provoke: (world) => call(world, { body: chat('ant/m', { n: 2 }) }),
  },
  output_limit_exceeded: {
    ...invalid,
    code: 'output_limit_exceeded',
    provoke: (world) =>
      call(world, { key: world.keys.capped, body: chat('up/m', { max_tokens: 9 }) }),
  },
  credential_missing: {
    ...unauthorized,
    code: 'missing_credential',
    provoke: (world) =>
      exchange(
        Number(world.gateway.address('admin').replace(/^.*:/, '')),
        'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n',
      ),
  },
  credential_invalid: {
    ...unauthorized,
    code: 'invalid_api_key',
    provoke: (world) => call(world, { key: `${world.keys.wide}x`, body: chat('up/m') }),
  },
  credential_expired: {
    ...unauthorized,
    code: 'expired_credential',
    provoke: async (world) => {
      const expiresAtMs = Date.now() + 500;
      const made = await world.gateway.control('POST', '/api/v1/keys', {
        name: 'brief',
        scope: {},
        expires_at: new Date(expiresAtMs).toISOString(),
      });
      await sleep(expiresAtMs - Date.now() + 10);
      return call(world, { key: String(made.body['secret']), body: chat('up/m') });
    },
  },
  credential_revoked: {
    ...unauthorized,
    code: 'revoked_credential',
    provoke: async (world) => {
      const key = await world.gateway.key('leaver');
      await world.gateway.control('POST', '/api/v1/keys/leaver/revoke', {});
      return call(world, { key, body: chat('up/m') });
    },
  },
  local_operator_refused: {
    ...unauthorized,
    code: 'local_operator_refused',
    provoke: (world) =>
      exchange(
        world.gateway.port,
        'GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n',
      ),
  },
  access_denied: {
    status: 403,
    type: 'invalid_request_error',
    code: 'access_denied',
    provoke: (world) => call(world, { key: world.keys.stranger, body: chat('up/m') }),
  },
  model_not_found: {
    status: 404,
    type: 'invalid_request_error',
    code: 'model_not_found',
    provoke: (world) => call(world, { body: chat('up/other') }),
  },
  rate_limited: {
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    provoke: manyBadKeys,
  },
  upstream_rejected: { ...invalid, code: 'upstream_rejected', provoke: upstreamSays(400) },
  budget_exhausted: {
    status: 429,
    type: 'insufficient_quota',
    code: 'insufficient_quota',
    provoke: (world) => call(world, { key: world.keys.broke, body: chat('ant/paid') }),
  },
  price_unknown: {
    status: 403,
    type: 'invalid_request_error',
    code: 'price_unknown',
    provoke: (world) => call(world, { body: chat('unpriced/m') }),
  },
  upstream_rate_limited: {
    status: 429,
    type: 'rate_limit_error',
    code: 'upstream_rate_limited',
    provoke: upstreamSays(429),
  },
  upstream_unavailable: {
    ...upstreamFault,
    code: 'upstream_unavailable',
    provoke: (world) => call(world, { body: chat('dead/m') }),
  },
  upstream_credential: {
    ...upstreamFault,
    code: 'upstream_credential',
    provoke: upstreamSays(401),
  },
  upstream_error: { ...upstreamFault, code: 'upstream_error', provoke: upstreamSays(500) },
  upstream_timeout: {
    status: 504,
    type: 'server_error',
    code: 'upstream_timeout',
    provoke: (world) => {
      world.upstream.expect({ pieces: [{ wait: sleep(2_000) }] });
      return call(world, { body: chat('up/m') });
    },
  },
  upstream_overloaded: {
    status: 503,
    type: 'server_error',
    code: 'upstream_overloaded',
    provoke: upstreamSays(503),
  },
  egress_refused: {
    ...upstreamFault,
    code: 'egress_refused',
    provoke: (world) => call(world, { body: chat('nowhere/m') }),
  },
  overloaded: {
    status: 503,
    type: 'server_error',
    code: 'overloaded',
    provoke: oneConnectionTooMany,
  },
  draining: {
    status: 503,
    type: 'server_error',
    code: 'draining',
    provoke: askedBeforeTheStop,
  },
  state_unavailable: {
    status: 503,
    type: 'server_error',
    code: 'state_unavailable',
    provoke: (world) => call(world, { key: tokenOf(unreachableIssuer), body: chat('up/m') }),
  },
  conflict: {
    status: 409,
    code: 'conflict',
    provoke: async ({ gateway }) => {
      const answer = await gateway.control('POST', '/api/v1/keys', { name: 'wide', scope: {} });
      return { ...answer, headers: {} };
    },
  },
  internal: { status: 500, type: 'server_error', code: 'internal', provoke: brokenHandler },
};

/** Beyond a thousand bad keys of one source the answer changes; on a slow machine some of them are forgiven meanwhile. */
async function manyBadKeys(world: World): Promise<Wire> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (let guesses = 0; guesses < 2_000; guesses += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one guess after the other
      const wire = await guess(world, agent);
      if (wire.status !== 401) return wire;
    }
    throw new Error('two thousand bad keys were not too many');
  } finally {
    agent.destroy();
  }
}

function guess({ gateway }: World, agent: http.Agent): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: 'Bearer pst_guess' };
    const request = http.get(`${gateway.url}/v1/models`, { agent, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      // Every refusal is a JSON object.
      answer.on('end', () =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: { 'x-should-retry': String(answer.headers['x-should-retry']) },
          body: JSON.parse(text) as Wire['body'],
        }),
      );
    });
    request.on('error', reject);
  });
}

async function oneConnectionTooMany({ narrow }: World): Promise<Wire> {
  const held = [connect(narrow.port, '127.0.0.1'), connect(narrow.port, '127.0.0.1')];
  await Promise.all(
    held.map((socket) => new Promise((resolve) => socket.once('connect', resolve))),
  );
  await sleep(50);
  try {
    return await exchange(narrow.port, 'GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n');
  } finally {
    for (const socket of held) socket.destroy();
  }
}

/** An answer that is still awaited when a second signal ends them all. */
async function askedBeforeTheStop({ upstream }: World): Promise<Wire> {
  const gateway = await startGateway({
    config: {
      providers: { up: { kind: 'openai', models: ['m'], baseUrl: `${upstream.url}/v1` } },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  const key = await gateway.key('late');
  upstream.expect({ pieces: [{ wait: sleep(2_000) }] });
  const before = upstream.received.length;
  const body = chat('up/m');
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}`;
  const answer = exchange(gateway.port, `${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await waitFor(() => upstream.received[before]);
  const [wire] = await Promise.all([answer, gateway.stop()]);
  return wire;
}

/** No request makes a sound gateway throw, so a listener gets a handler that does. */
async function brokenHandler(): Promise<Wire> {
  const opened = await openListener({
    kind: 'gateway',
    bind: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    handler: () => Promise.reject(new Error('a secret detail')),
    hosts: undefined,
    trustedProxies: [],
    onlyTrustedProxies: false,
    believedHeaders: [],
    newRequestId: () => 'req_1',
    nowMs: Date.now,
  });
  if (!opened.ok) throw new Error(opened.error.message);
  try {
    return await exchange(opened.value.port ?? 0, 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  } finally {
    await opened.value.close(0);
  }
}
