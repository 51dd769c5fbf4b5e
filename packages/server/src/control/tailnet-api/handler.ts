import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { errorRow, refuse } from '@postern/core/errors';
import { stateLimits } from '@postern/core/state';
import type { HttpHandler, HttpReply, HttpRequest } from '../../http/exchange.ts';
import { engineCapabilities } from '../engine/index.ts';
import { accessOf, giveToken } from './access.ts';
import { notHere } from './body.ts';
import { device, devices } from './device-routes.ts';
import { keys } from './key-routes.ts';
import { acl } from './policy-routes.ts';
import type { ApiAnswer, ApiCall, ApiResult, TailnetApiOptions } from './ports.ts';
import { dns, settings, users } from './setting-routes.ts';

/** What begins a path of this API. */
export const tailnetApiPrefix = '/api/v2/';

/** A policy is the longest body. A character is up to four bytes. */
const bodyBytesMax = stateLimits.policyCharsMax * 4;
const tokenPath = 'oauth/token';
const noStore = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

const sections: Readonly<Record<string, (call: ApiCall) => ApiResult>> = {
  devices,
  keys,
  acl,
  dns,
  users,
  settings,
};

/** The Tailscale API v2 over an engine: what its official clients, its Terraform provider and its actions speak. */
export function tailnetApi(options: TailnetApiOptions): HttpHandler {
  return async (request, reply) => {
    const answered = await answer(request, options);
    if (!answered.ok) return refused(reply, answered.error, request.id);
    const { status = 200, headers = {}, json, hujson } = answered.value;
    const type = hujson === undefined ? 'application/json' : 'application/hujson';
    const body = hujson ?? `${JSON.stringify(json ?? {})}\n`;
    reply.send(status, { ...noStore, 'content-type': type, ...headers }, body);
  };
}

async function answer(
  request: HttpRequest,
  options: TailnetApiOptions,
): Promise<Result<ApiAnswer, Refusal>> {
  const path = segmentsOf(request.path);
  if (path === undefined) return refuse('malformed_http', 'The path is not well-formed.');
  if (path.join('/') === tokenPath) return token(request, options);
  const access = await accessOf(request, options);
  if (!access.ok) return access;
  const body = await bodyText(request);
  if (!body.ok) return body;
  const { by, scopes } = access.value;
  const engine = options.engine(by);
  if (engine === undefined) {
    return refuse('state_unavailable', 'The engine of this network does not run here now.');
  }
  const query = new URLSearchParams(request.query);
  const { method, headers } = request;
  const { control } = options;
  const call: ApiCall = {
    method,
    path,
    query,
    headers,
    text: body.value,
    by,
    scopes,
    engine,
    control,
  };
  return route(call);
}

function route(call: ApiCall): ApiResult {
  const [first = '', second = '', ...rest] = call.path;
  if (first === 'device') return device(call);
  if (first === 'users') return users(call);
  if (first !== 'tailnet') return Promise.resolve(notHere(call));
  if (second !== '-') {
    return Promise.resolve(
      refuse('not_found', `There is one network here: write - in place of ${second}.`),
    );
  }
  const [section = ''] = rest;
  const run = Object.hasOwn(sections, section) ? sections[section] : undefined;
  return run === undefined ? Promise.resolve(notHere(call)) : run({ ...call, path: rest });
}

function segmentsOf(path: string): readonly string[] | undefined {
  try {
    return path.slice(tailnetApiPrefix.length).split('/').map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

async function bodyText(request: HttpRequest): Promise<Result<string, Refusal>> {
  if (request.method === 'GET' || request.method === 'HEAD') return ok('');
  const body = await request.readBody(bodyBytesMax);
  if (!body.ok) return body;
  try {
    return ok(new TextDecoder('utf-8', { fatal: true }).decode(body.value));
  } catch {
    return refuse('invalid_json', 'The body is not UTF-8.');
  }
}

async function token(
  request: HttpRequest,
  options: TailnetApiOptions,
): Promise<Result<ApiAnswer, Refusal>> {
  if (request.method !== 'POST') return refuse('method_not_allowed', 'POST only');
  const body = await bodyText(request);
  if (!body.ok) return body;
  const given = giveToken(request, body.value, options);
  if (!given.ok) return given;
  const { lifeS, scopes } = given.value;
  return ok({
    json: {
      access_token: given.value.token.reveal(),
      token_type: 'Bearer',
      expires_in: lifeS,
      scope: scopes.join(' '),
    },
  });
}

/** The shape of this API's errors: `{"message", "status"}`; trust the status of HTTP. */
function refused(reply: HttpReply, why: Refusal, requestId: string): void {
  const status = statusOf(why);
  const headers = {
    ...noStore,
    'content-type': 'application/json',
    'x-request-id': requestId,
    ...(status === 401 ? { 'www-authenticate': 'Bearer, Basic' } : {}),
    ...(why.retryAfterMs === undefined
      ? {}
      : { 'retry-after': String(Math.ceil(why.retryAfterMs / 1_000)) }),
  };
  reply.send(status, headers, `${JSON.stringify({ message: why.message, status })}\n`);
}

function statusOf({ code, param }: Refusal): number {
  if (code !== 'conflict') return errorRow(code).status;
  if (param === 'base') return 412;
  return param === 'unsupported' || (param !== undefined && param in engineCapabilities)
    ? 501
    : 409;
}
