import type { RawHead } from '../head.ts';

/** A head of the usual shape. */
export interface ReadHead extends RawHead {
  readonly bodyBytes: number;
}

/** What no request of the usual shape has; each of them is about framing, or about the connection. */
const unusualNames: ReadonlySet<string> = new Set([
  'content-encoding',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

const requestLine = /^(GET|POST) (\/[A-Za-z0-9\-._~/?&=%:,@+]*) HTTP\/1\.1$/;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const plainValue = /^[\t\x20-\x7e\x80-\xff]*$/;
const plainLength = /^(?:0|[1-9][0-9]{0,14})$/;
const surrounding = /^[ \t]+|[ \t]+$/g;

/**
 * Reads a head from its text as Latin-1, without the blank line at its end. Undefined where it is not of the usual
 * shape, be it wrong or only rare: then it was not read at all.
 */
export function readHead(text: string): ReadHead | undefined {
  let end = text.indexOf('\r\n');
  if (end === -1) return undefined;
  const line = requestLine.exec(text.slice(0, end));
  if (line === null) return undefined;
  const [, method = '', target = ''] = line;
  const rawHeaders: string[] = [];
  let length: string | undefined;
  while (end < text.length) {
    const start = end + 2;
    end = text.indexOf('\r\n', start);
    if (end === -1) end = text.length;
    const colon = text.indexOf(':', start);
    if (colon === -1 || colon >= end) return undefined;
    const name = text.slice(start, colon);
    const value = trimmed(text.slice(colon + 1, end));
    if (!token.test(name) || !plainValue.test(value)) return undefined;
    const lower = name.toLowerCase();
    if (unusualNames.has(lower)) return undefined;
    if (lower === 'connection' && value.toLowerCase() !== 'keep-alive') return undefined;
    if (lower === 'content-length') {
      const isBare = text.charCodeAt(end - 1) > 0x20;
      if (length !== undefined || !isBare || !plainLength.test(value)) return undefined;
      length = value;
    }
    rawHeaders.push(name, value);
  }
  // A body without a length, or one where none belongs, is for the other reader.
  const isUsual = method === 'POST' ? length !== undefined : (length ?? '0') === '0';
  if (!isUsual) return undefined;
  return { method, target, version: '1.1', rawHeaders, bodyBytes: Number(length ?? 0) };
}

function trimmed(value: string): string {
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  if (first === 0x20 && value.length > 1 && last !== 0x20 && last !== 0x09) {
    const second = value.charCodeAt(1);
    if (second !== 0x20 && second !== 0x09) return value.slice(1);
  }
  return value.replaceAll(surrounding, '');
}
