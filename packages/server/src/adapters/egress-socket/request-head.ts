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

/** The head of a request up to its blank line. A name or value that would end its line early is refused. */
export function requestHead(request: OutboundRequest): Result<string, string> {
  const { url, headers, method, body } = request;
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
  if (body === undefined) {
    if (method !== 'GET' && method !== 'DELETE') text += 'content-length: 0\r\n';
  } else {
    const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    text += `content-length: ${bytes}\r\n`;
  }
  return ok(`${text}\r\n`);
}
