import type { Result } from '@postern/core/base';
import { ok, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { coversNetworkScope, keyStanding, recogniseKey } from '@postern/core/state';
import { equalSecrets } from '../../http/equal-secrets.ts';
import type { HttpRequest } from '../../http/exchange.ts';
import type { Requester } from '../control.ts';
import type { ApiCall, TailnetApiOptions } from './ports.ts';
import { ceilingOf } from './scopes.ts';

/** What a caller may do here: scopes of API v2, and tags that keys may carry. */
export interface Access {
  readonly by: Requester;
  readonly scopes: readonly string[];
}

/** Marks our access tokens; never the start of a key, so that the two cannot be taken for each other. */
const tokenPrefix = 'pstoauth-';
const tokenLifeS = 3_600;
const formCharsMax = 4_096;

/** A key of an administrator as Bearer or as the user of Basic, or an access token of an OAuth client. */
export async function accessOf(
  request: HttpRequest,
  options: TailnetApiOptions,
): Promise<Result<Access, Refusal>> {
  const given = credentialOf(request.headers.get('authorization') ?? '');
  if (given === undefined) {
    return refuse(
      'credential_missing',
      'Send an administrator’s key (postern key create NAME --admin) as a bearer token or as the user of Basic, or a token of an OAuth client.',
    );
  }
  if (given.startsWith(tokenPrefix)) return accessOfToken(given, request, options);
  const by = await options.identify(withBearer(request, given));
  if (!by.ok) return by;
  const subject = by.value.caller?.subject;
  const key =
    subject?.authority === 'key' ? options.control.snapshot().keysById.get(subject.id) : undefined;
  if (by.value.scope?.admin !== true || key === undefined) {
    return refuse(
      'access_denied',
      'This key does not administer. Make one that does (postern key create NAME --admin), or an OAuth client with scopes.',
    );
  }
  return ok({ by: by.value, scopes: ceilingOf(key, options) });
}

function credentialOf(header: string): string | undefined {
  const [, kind = '', value = ''] = /^(\S+) +(\S+)$/.exec(header) ?? [];
  switch (kind.toLowerCase()) {
    case 'bearer':
      return value;
    case 'basic':
      return Buffer.from(value, 'base64').toString('utf8').split(':', 1)[0];
    default:
      return undefined;
  }
}

/** The request as if the key had come as a bearer token: identification, and its limit of failures, know no other. */
function withBearer(request: HttpRequest, token: string): HttpRequest {
  const authorization = `Bearer ${token}`;
  const { headers } = request;
  const own: HttpRequest['headers'] = {
    get: (name) => (name === 'authorization' ? authorization : headers.get(name)),
    has: (name) => name === 'authorization' || headers.has(name),
    *entries() {
      for (const [name, value] of headers.entries()) {
        yield [name, name === 'authorization' ? authorization : value] as const;
      }
    },
  };
  const { id, listener, method, path, query, peer, clientAddress, evidence, receivedAtMs } =
    request;
  const { sawForwarding, sawIdentityHeaders, signal } = request;
  return {
    id,
    listener,
    method,
    path,
    query,
    headers: own,
    peer,
    clientAddress,
    sawForwarding,
    sawIdentityHeaders,
    evidence,
    receivedAtMs,
    signal,
    readBody: (bytesMax) => request.readBody(bytesMax),
  };
}

interface TokenClaims {
  /** Id of the client, a key. */
  readonly c: string;
  readonly s: readonly string[];
  /** Seconds since 1970. */
  readonly e: number;
}

function accessOfToken(
  token: string,
  request: HttpRequest,
  options: TailnetApiOptions,
): Result<Access, Refusal> {
  const { control, mac } = options;
  const [body = '', signature = ''] = token.slice(tokenPrefix.length).split('.');
  const wrong = refuse('credential_invalid', 'This access token was not made here.');
  if (!equalSecrets(mac(body), signature)) return wrong;
  const claims = claimsOf(body);
  if (claims === undefined) return wrong;
  const nowMs = control.system.nowMs();
  if (nowMs >= claims.e * 1_000) {
    return refuse(
      'credential_expired',
      'This access token has ended. Ask /api/v2/oauth/token for another.',
    );
  }
  const key = control.snapshot().keysById.get(claims.c);
  if (key === undefined) return refuse('credential_revoked', 'The OAuth client is gone.');
  const standing = keyStanding(key, nowMs);
  if (!standing.ok) return standing;
  const held = key.scope.network ?? [];
  const granted = claims.s.filter((scope) => coversNetworkScope(held, scope));
  const ceiling = ceilingOf(key, options);
  return ok({
    scopes: ceiling.includes('all')
      ? granted
      : ceiling.filter((scope) => coversNetworkScope(granted, scope)),
    by: {
      actor: { principal: `key:${key.id}`, channel: 'control' },
      scope: key.scope,
      requestId: request.id,
      connection: request.peer,
    },
  });
}

function claimsOf(body: string): TokenClaims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'));
    if (typeof value !== 'object' || value === null) return undefined;
    const [c, s, e]: unknown[] = ['c', 's', 'e'].map((name): unknown => Reflect.get(value, name));
    if (typeof c !== 'string' || typeof e !== 'number' || !Array.isArray(s)) return undefined;
    return { c, e, s: s.filter((each) => typeof each === 'string') };
  } catch {
    return undefined;
  }
}

export interface GivenToken {
  readonly token: Secret;
  readonly lifeS: number;
  readonly scopes: readonly string[];
}

/** `grant_type=client_credentials` (RFC 6749 section 4.4): the client in the form, or as Basic. */
export function giveToken(
  request: HttpRequest,
  text: string,
  { control, mac }: TailnetApiOptions,
): Result<GivenToken, Refusal> {
  const form = new URLSearchParams(text.slice(0, formCharsMax));
  if ((form.get('grant_type') ?? 'client_credentials') !== 'client_credentials') {
    return refuse('invalid_request', 'grant_type: only client_credentials is given here.');
  }
  const basic = basicPair(request.headers.get('authorization') ?? '');
  const id = form.get('client_id') ?? basic?.id ?? '';
  const secret = form.get('client_secret') ?? basic?.secret ?? '';
  const { nowMs, sha256Hex } = control.system;
  const key = recogniseKey(control.snapshot(), secret, { nowMs: nowMs(), sha256Hex });
  if (key === undefined) {
    return refuse(
      'credential_invalid',
      'This is not the secret of an OAuth client of this network.',
    );
  }
  if (!key.ok) return key;
  const held = key.value.scope.network;
  if (held === undefined || (id !== '' && id !== key.value.id)) {
    return refuse('credential_invalid', 'The client and the secret do not belong together.');
  }
  const own = held.filter((scope) => !scope.startsWith('tag:'));
  const asked = (form.get('scope') ?? '').split(/[\s,]+/).filter((scope) => scope !== '');
  const beyond = asked.find((scope) => !coversNetworkScope(own, scope));
  if (beyond !== undefined) {
    return refuse('access_denied', `The client does not have the scope ${beyond}.`);
  }
  const scopes = asked.length === 0 ? own : asked;
  const claims: TokenClaims = {
    c: key.value.id,
    s: scopes,
    e: Math.floor(nowMs() / 1_000) + tokenLifeS,
  };
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url');
  const token = new Secret(`${tokenPrefix}${body}.${mac(body)}`);
  return ok({ token, lifeS: tokenLifeS, scopes });
}

function basicPair(header: string): { readonly id: string; readonly secret: string } | undefined {
  const [, value] = /^basic +(\S+)$/i.exec(header) ?? [];
  if (value === undefined) return undefined;
  const [id = '', secret = ''] = Buffer.from(value, 'base64').toString('utf8').split(':');
  try {
    return { id: decodeURIComponent(id), secret: decodeURIComponent(secret) };
  } catch {
    return undefined;
  }
}

/** Refuses what the caller's scopes do not take in. */
export function allowed({ scopes }: ApiCall, wanted: string): Result<void, Refusal> {
  return coversNetworkScope(scopes, wanted)
    ? ok(undefined)
    : refuse('access_denied', `This needs the scope ${wanted}.`, { param: 'scope' });
}
