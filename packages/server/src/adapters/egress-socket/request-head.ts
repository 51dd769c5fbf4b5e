import { err, ok, type Result } from '@postern/core/base';
import { inOnePiece, type OutboundRequest } from '../../http/index.ts';

/** Never written by a caller of egress: the transport sets them, or they must not be there. */
const transportHeaders: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const value = /^[\t\x20-\x7e]*$/;
const target = /^\/[\x21-\x7e]*$/;

/** A head that is the same for many requests. */
interface Begun {
  readonly method: OutboundRequest['method'];
  readonly url: URL;
  /** Up to what says how long the body is. */
  readonly text: string;
  /** The same and the name of that header: most bodies are bytes too. */
  readonly upToLength: Uint8Array;
}

/** The head of one request. */
export interface RequestHead {
  readonly begun: Pick<Begun, 'text' | 'upToLength'>;
  /** Undefined: it has no body, and its method none either. */
  readonly bodyBytes: number | undefined;
}

/** All of it, with the blank line. */
export function headText({ begun, bodyBytes }: RequestHead): string {
  return bodyBytes === undefined
    ? `${begun.text}\r\n`
    : `${begun.text}${lengthName}${bodyBytes}\r\n\r\n`;
}

/** A request in one piece of memory. */
export function wholeRequest({ begun }: RequestHead, body: Uint8Array): Buffer {
  return inOnePiece(begun.upToLength, body);
}

const lengthName = 'content-length: ';

/** Heads by headers that never change, which were looked at once. */
const begun = new WeakMap<OutboundRequest['headers'], Begun>();

/**
 * The head of a request. A name or value that would end its line early is refused. `bodyBytes` undefined: it has no body.
 */
export function requestHead(
  request: OutboundRequest,
  bodyBytes: number | undefined,
): Result<RequestHead, string> {
  const { headers, method, url } = request;
  let known = begun.get(headers);
  if (known === undefined || known.url !== url || known.method !== method) {
    const text = beginning(request);
    if (!text.ok) return text;
    const upToLength = Buffer.from(text.value + lengthName, 'latin1');
    known = { method, url, text: text.value, upToLength };
    if (Object.isFrozen(headers)) begun.set(headers, known);
  }
  const isBare = method === 'GET' || method === 'DELETE';
  return ok({ begun: known, bodyBytes: bodyBytes ?? (isBare ? undefined : 0) });
}

function beginning({ url, headers, method }: OutboundRequest): Result<string, string> {
  const path = `${url.pathname}${url.search}`;
  if (!target.test(path)) return err('the path has a character that no request line may have');
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${url.host}\r\nconnection: keep-alive\r\naccept-encoding: identity\r\n`;
  for (const name in headers) {
    const lower = name.toLowerCase();
    if (transportHeaders.has(lower)) continue;
    const given = headers[name] ?? '';
    if (!token.test(name) || !value.test(given)) return err(`the header ${lower} cannot be sent`);
    text += `${name}: ${given}\r\n`;
  }
  return ok(text);
}
