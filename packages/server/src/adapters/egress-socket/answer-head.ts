import { err, ok, type Result } from '@postern/core/base';

/** How the end of a body is told. */
export type AnswerFraming =
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  /** Until the upstream closes. */
  | { readonly kind: 'close' };

export interface AnswerHead {
  readonly status: number;
  /** Lower-case names, values of one name joined, without those that are for the connection only. */
  readonly headers: Readonly<Record<string, string>>;
  readonly framing: AnswerFraming;
  /** The connection may serve another call after this answer. */
  readonly keeps: boolean;
  /** What the upstream promises of an idle connection, in seconds. */
  readonly keepAliveSeconds: number | undefined;
}

// Reason phrases may hold anything that a header value may.
const statusLine = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this expression is about
const control = /[\x00-\x08\x0a-\x1f\x7f]/;
const plainLength = /^(?:0|[1-9][0-9]{0,14})$/;
const surrounding = /^[ \t]+|[ \t]+$/g;

/** Meant for the connection between us and the upstream only (RFC 9110 section 7.6.1). */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Reads the head of an answer, without the blank line at its end, from its text as Latin-1. Strict: what RFC 9112
 * leaves open, or lets a recipient repair, is an error, because whoever writes it may mean another end of the body.
 */
export function readAnswerHead(text: string, headersMax: number): Result<AnswerHead, string> {
  let end = text.indexOf('\r\n');
  if (end === -1) end = text.length;
  const line = statusLine.exec(text.slice(0, end));
  if (line === null) return err('the status line is not one of HTTP/1');
  const fields: Record<string, string> = Object.create(null);
  let count = 0;
  while (end < text.length) {
    const start = end + 2;
    end = text.indexOf('\r\n', start);
    if (end === -1) end = text.length;
    const colon = text.indexOf(':', start);
    if (colon === -1 || colon >= end) return err('a header has no colon');
    const written = text.slice(start, colon);
    if (!token.test(written)) return err('a header name is not a token');
    const value = trimmed(text, colon + 1, end);
    if (control.test(value)) return err('a header value has a control character');
    count += 1;
    if (count > headersMax) return err('there are too many headers');
    const name = written.toLowerCase();
    const before = fields[name];
    if (name === 'content-length' || name === 'transfer-encoding') {
      if (before !== undefined) return err('the end of the body is told twice');
      // RFC 9110 drops it, llhttp does not: two readers, two lengths.
      if (text.charCodeAt(end - 1) <= 0x20) return err('white space follows the length');
    }
    fields[name] = before === undefined ? value : `${before}, ${value}`;
  }
  return headOf(Number(line[2]), line[1] === '1', fields);
}

function trimmed(text: string, start: number, end: number): string {
  const from = text.charCodeAt(start) === 0x20 ? start + 1 : start;
  const value = text.slice(from, end);
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(value.length - 1);
  const isClean = first !== 0x20 && first !== 0x09 && last !== 0x20 && last !== 0x09;
  return isClean ? value : value.replaceAll(surrounding, '');
}

function headOf(
  status: number,
  isOne: boolean,
  fields: Record<string, string>,
): Result<AnswerHead, string> {
  const framing = framingOf(status, isOne, fields);
  if (!framing.ok) return framing;
  const options = fields['connection']?.toLowerCase();
  const listed = options?.split(',').map((name) => name.trim()) ?? [];
  const keeps =
    framing.value.kind !== 'close' &&
    (isOne ? !listed.includes('close') : listed.includes('keep-alive'));
  const hint = /(?:^|[,;\s])timeout=([0-9]{1,6})/i.exec(fields['keep-alive'] ?? '')?.[1];
  for (const name in fields) if (hopByHop.has(name)) delete fields[name];
  for (const name of listed) delete fields[name];
  return ok({
    status,
    headers: fields,
    framing: framing.value,
    keeps,
    keepAliveSeconds: hint === undefined ? undefined : Number(hint),
  });
}

const noBody: AnswerFraming = Object.freeze({ kind: 'length', bytes: 0 });
const chunks: AnswerFraming = Object.freeze({ kind: 'chunked' });
const untilClose: AnswerFraming = Object.freeze({ kind: 'close' });

function framingOf(
  status: number,
  isOne: boolean,
  fields: Readonly<Record<string, string>>,
): Result<AnswerFraming, string> {
  const coding = fields['transfer-encoding'];
  const length = fields['content-length'];
  if (length !== undefined && !plainLength.test(length)) {
    return err('the length is not one plain decimal number');
  }
  if (coding !== undefined) {
    if (!isOne) return err('HTTP/1.0 has no transfer encoding');
    if (length !== undefined) return err('both a length and a transfer encoding are given');
    if (coding.toLowerCase() !== 'chunked') return err('the transfer encoding is not chunked');
  }
  if (status < 200 || status === 204 || status === 304) return ok(noBody);
  if (coding !== undefined) return ok(chunks);
  if (length !== undefined) return ok({ kind: 'length', bytes: Number(length) });
  return ok(untilClose);
}
