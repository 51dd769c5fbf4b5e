import { err, ok, type Result } from '@postern/core/base';
import type { OutboundRequest } from '../../http/index.ts';

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

/** A head up to the length of its body. */
interface Begun {
  readonly method: OutboundRequest['method'];
  readonly url: URL;
  readonly text: string;
  /** The same, since most bodies are bytes too. */
  readonly bytes: Uint8Array;
}

/** A head in two parts: what is the same whatever the body is, and the rest. */
export interface RequestHead {
  readonly begun: Pick<Begun, 'text' | 'bytes'>;
  readonly rest: string;
}

/** Heads by headers that never change, which were looked at once. */
const begun = new WeakMap<OutboundRequest['headers'], Begun>();

/**
 * The head of a request up to its blank line. A name or value that would end its line early is refused. `bodyBytes`
 * undefined: it has no body.
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
    known = { method, url, text: text.value, bytes: Buffer.from(text.value, 'latin1') };
    if (Object.isFrozen(headers)) begun.set(headers, known);
  }
  if (bodyBytes !== undefined)
    return ok({ begun: known, rest: `content-length: ${bodyBytes}\r\n\r\n` });
  const isBare = method === 'GET' || method === 'DELETE';
  return ok({ begun: known, rest: isBare ? '\r\n' : 'content-length: 0\r\n\r\n' });
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
