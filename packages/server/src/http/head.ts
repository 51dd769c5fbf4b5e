import { err, ok, type Result } from '@postern/core/base';
import type { IpSet } from '@postern/core/base/netip';
import type { ErrorCode } from '@postern/core/errors';
import type { RequestHeaders } from './exchange.ts';
import { clientAddressOf } from './forwarding.ts';
import { HeaderMap } from './headers.ts';
import { type HostName, isSameOrigin, parseHost } from './host.ts';
import {
  isForwardingHeader,
  isHopByHopHeader,
  isIdentityHeader,
  isProtectedFromConnection,
  normalHeaderName,
} from './identity-headers.ts';
import type { HttpLimits } from './limits.ts';
import { readTarget } from './target.ts';

/** What any HTTP/1.1 parser can say about a head, before anything is believed. */
export interface RawHead {
  readonly method: string;
  readonly target: string;
  /** `1.1` or `1.0`; any other is refused. */
  readonly version: string;
  /** Names and values in turn, as received. */
  readonly rawHeaders: readonly string[];
}

/** What a listener is, as far as a head needs it. */
export interface HeadRules {
  readonly limits: HttpLimits;
  /** Canonical names and addresses for `Host`; undefined where identity is not ambient. */
  readonly hosts: ReadonlySet<string> | undefined;
  readonly believed: ReadonlySet<string>;
  readonly trustedProxies: IpSet;
  readonly encodedSlashUnder: readonly string[];
  readonly upgrades: boolean;
}

/** A head with one meaning. */
export interface JudgedHead {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly clientAddress: string | undefined;
  readonly sawForwarding: boolean;
  readonly sawIdentityHeaders: boolean;
  readonly expectsContinue: boolean;
  readonly closes: boolean;
}

/** Why a head is refused. `status` where the code's own would be wrong (417). */
export interface HeadFault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly status?: number;
  readonly allow?: string;
}

export const allowedMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
const methods: ReadonlySet<string> = new Set(allowedMethods.split(', '));
const methodsWithoutBody: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Two of these could be read either way by whoever stands behind or before us. */
const singletons: ReadonlySet<string> = new Set([
  'anthropic-version',
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'origin',
  'sec-fetch-site',
  'transfer-encoding',
  'upgrade',
  'x-api-key',
]);

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this expression is about
const control = /[\x00-\x08\x0a-\x1f\x7f]/;

/** Judges a head: RFC 9110 and 9112 where they are strict, and refusal where they leave a choice. */
export function judgeHead(
  head: RawHead,
  peerAddress: string | undefined,
  rules: HeadRules,
): Result<JudgedHead, HeadFault> {
  const line = requestLineFault(head, rules.limits);
  if (line !== undefined) return err(line);
  const fields = collectFields(head.rawHeaders, rules.limits);
  if (!fields.ok) return fields;
  const all = fields.value;
  const framing = framingFault(head, all, rules);
  if (framing !== undefined) return err(framing);
  const hostText = all.get('host');
  if (hostText === undefined) return malformed('there is no Host header');
  const host = parseHost(hostText);
  if (!host.ok) return malformed(host.error);
  const target = readTarget(head.method, head.target, rules);
  if (!target.ok) return malformed(target.error);
  const { authority, path, query } = target.value;
  if (authority !== undefined && authority.toLowerCase() !== hostText.toLowerCase()) {
    return malformed('the target names another host than the Host header');
  }
  const listed = connectionOptions(all.get('connection'));
  const removed = listed.find((name) => isProtectedFromConnection(name));
  if (removed !== undefined) {
    return fault('forbidden_header', `Connection names ${removed}, which a caller cannot remove`);
  }
  const asked = askedHost(all, host.value, rules);
  if (!asked.ok) return malformed(asked.error);
  const page = pageFault(all, asked.value, rules.hosts);
  if (page !== undefined) return err(page);
  const kept = keepFields(head.rawHeaders, all, listed, rules);
  if (!kept.ok) return kept;
  return ok({
    method: head.method,
    path: interned(path),
    query,
    headers: kept.value,
    clientAddress: clientOf(peerAddress, all, rules),
    sawForwarding: some(all, isForwardingHeader),
    sawIdentityHeaders: some(all, isIdentityHeader),
    expectsContinue: all.has('expect') && head.version === '1.1',
    closes: listed.includes('close') || (head.version === '1.0' && !listed.includes('keep-alive')),
  });
}

/** The engine's own copy of a text: paths are looked up five times a request, and two such copies compare by address. */
function interned(text: string): string {
  for (const name in { [text]: true }) return name;
  return text;
}

function malformed(message: string): Result<never, HeadFault> {
  return fault('malformed_http', message);
}

function fault(code: ErrorCode, message: string): Result<never, HeadFault> {
  return err({ code, message });
}

function requestLineFault(head: RawHead, limits: HttpLimits): HeadFault | undefined {
  if (head.version !== '1.1' && head.version !== '1.0') {
    return { code: 'malformed_http', message: 'only HTTP/1.1 and HTTP/1.0 are spoken here' };
  }
  if (!methods.has(head.method)) {
    const message = `the method is none of ${allowedMethods}`;
    return { code: 'method_not_allowed', message, allow: allowedMethods };
  }
  if (head.target.length > limits.targetBytesMax) {
    return {
      code: 'uri_too_long',
      message: `the target is longer than ${limits.targetBytesMax} bytes`,
    };
  }
  return undefined;
}

type Fields = ReadonlyMap<string, string>;

/** All fields by lower-case name, values joined; refuses names and repetitions that have two readings. */
function collectFields(raw: readonly string[], limits: HttpLimits): Result<Fields, HeadFault> {
  if (raw.length > limits.headersMax * 2) {
    return fault('headers_too_large', `there are more than ${limits.headersMax} headers`);
  }
  const fields = new Map<string, string>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase();
    const value = raw[index + 1] ?? '';
    if (!token.test(name)) return malformed('a header name is not a token');
    if (name.includes('_')) return underscoreFault(name);
    if (control.test(value)) return malformed(`the value of ${name} has a control character`);
    const before = fields.get(name);
    if (before !== undefined && singletons.has(name)) return malformed(`${name} is given twice`);
    const separator = name === 'cookie' ? '; ' : ', ';
    fields.set(name, before === undefined ? value : `${before}${separator}${value}`);
  }
  return ok(fields);
}

/** Backends with CGI-like names cannot tell `X_Name` from `X-Name` (CVE-2025-64484). */
function underscoreFault(name: string): Result<never, HeadFault> {
  const normal = normalHeaderName(name);
  const code = isProtectedFromConnection(normal) ? 'forbidden_header' : 'malformed_http';
  return fault(code, 'a header name has an underscore; write it with a hyphen');
}

function framingFault(head: RawHead, fields: Fields, rules: HeadRules): HeadFault | undefined {
  const coding = fields.get('transfer-encoding');
  const length = fields.get('content-length');
  const message = codingFault(head.version, coding, length);
  if (message !== undefined) return { code: 'malformed_http', message };
  if (methodsWithoutBody.has(head.method) && (coding !== undefined || Number(length ?? 0) > 0)) {
    return { code: 'malformed_http', message: `${head.method} has no body here` };
  }
  const expect = fields.get('expect');
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    const why = 'only Expect: 100-continue is understood';
    return { code: 'malformed_http', message: why, status: 417 };
  }
  if (fields.has('upgrade') && !rules.upgrades) {
    return { code: 'malformed_http', message: 'this listener speaks HTTP/1.1 without Upgrade' };
  }
  return undefined;
}

function codingFault(
  version: string,
  coding: string | undefined,
  length: string | undefined,
): string | undefined {
  if (length !== undefined && !/^(?:0|[1-9][0-9]{0,14})$/.test(length)) {
    return 'Content-Length is not one plain decimal number';
  }
  if (coding === undefined) return undefined;
  if (version === '1.0') return 'HTTP/1.0 has no Transfer-Encoding';
  if (length !== undefined) return 'both Content-Length and Transfer-Encoding are given';
  return coding.toLowerCase() === 'chunked' ? undefined : 'only Transfer-Encoding: chunked is read';
}

function connectionOptions(value: string | undefined): readonly string[] {
  return value === undefined ? [] : value.split(',').map(normalHeaderName);
}

/** A name of ours, or below one that begins with a dot (`.ts.net`: every name that a tailnet gives). */
function isOurs(hosts: ReadonlySet<string>, name: string): boolean {
  if (hosts.has(name)) return true;
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    if (hosts.has(name.slice(dot))) return true;
  }
  return false;
}

/**
 * The name that the caller used. `tailscale serve` calls a unix socket `localhost` whatever it was asked for, and says
 * the name itself in `X-Forwarded-Host`: believed where that header is, which is on the serve socket alone.
 */
function askedHost(
  fields: Fields,
  host: HostName,
  { believed }: HeadRules,
): Result<HostName, string> {
  const forwarded = believed.has('x-forwarded-host') ? fields.get('x-forwarded-host') : undefined;
  return forwarded === undefined ? ok(host) : parseHost(forwarded);
}

/**
 * Where identity is ambient, any page in the caller's browser could use it: by DNS rebinding (so `Host` must be
 * ours) or by a plain cross-site request (so a foreign origin is refused).
 */
function pageFault(
  fields: Fields,
  host: HostName,
  hosts: ReadonlySet<string> | undefined,
): HeadFault | undefined {
  if (hosts === undefined) return undefined;
  if (!isOurs(hosts, host.name)) {
    return { code: 'host_not_allowed', message: 'Host is not a name or address of this listener' };
  }
  const origin = fields.get('origin');
  if (origin !== undefined && !isSameOrigin(origin, host)) {
    return { code: 'origin_not_allowed', message: 'Origin is another site than this listener' };
  }
  const site = fields.get('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    return { code: 'origin_not_allowed', message: 'Sec-Fetch-Site names another site' };
  }
  return undefined;
}

/** What a handler may see: no hop-by-hop fields, no identity and no forwarding unless this listener believes it. */
function keepFields(
  raw: readonly string[],
  fields: Fields,
  listed: readonly string[],
  rules: HeadRules,
): Result<RequestHeaders, HeadFault> {
  const kept = new Map<string, string>();
  for (const [name, value] of fields) {
    if (isHopByHopHeader(name) || listed.includes(name)) continue;
    if (rules.believed.has(name)) {
      if (countOf(raw, name) > 1) return fault('forbidden_header', `${name} is given twice`);
      kept.set(name, value);
    } else if (!isIdentityHeader(name) && !isForwardingHeader(name)) {
      kept.set(name, value);
    }
  }
  return ok(new HeaderMap(kept));
}

function countOf(raw: readonly string[], name: string): number {
  return raw.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length;
}

function clientOf(
  peerAddress: string | undefined,
  fields: Fields,
  rules: HeadRules,
): string | undefined {
  const values = {
    xForwardedFor: fields.get('x-forwarded-for'),
    forwarded: fields.get('forwarded'),
    xRealIp: fields.get('x-real-ip'),
  };
  return clientAddressOf(peerAddress, values, rules.trustedProxies);
}

function some(fields: Fields, test: (name: string) => boolean): boolean {
  for (const name of fields.keys()) if (test(name)) return true;
  return false;
}
