import { STATUS_CODES } from 'node:http';
import { assert } from '@postern/core/base';
import type { ResponseHeaders } from '../exchange.ts';
import type { HeaderLines } from '../header-lines.ts';
import { linesText } from '../header-lines.ts';
import { inOnePiece } from '../one-write.ts';

const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What a head says. */
export interface ReplyHead {
  readonly status: number;
  /** Frozen ones are looked at once. */
  readonly headers: ResponseHeaders;
  /** Lines that were made for this answer. */
  readonly added: HeaderLines | undefined;
  readonly requestId: string;
  readonly nowMs: number;
  /** For how long the connection is kept afterwards; undefined: it ends with this answer. */
  readonly keepAliveMs: number | undefined;
}

/**
 * The head of an answer, with the blank line at its end. `framing` is the line that says where its body ends. Throws on a
 * header that cannot be sent: then nothing has begun, and the caller still gets an answer.
 */
export function headText(head: ReplyHead, framing: string): string {
  const start = startOf(head);
  const added = head.added === undefined ? '' : linesText(head.added);
  return `${start}${framing}${added}\r\n`;
}

const firstIdName = 'x-request-id: ';
const secondIdName = 'request-id: ';

/** All but what frames the body and what was added. */
function startOf({ status, headers, requestId, nowMs, keepAliveMs }: ReplyHead): string {
  // OpenAI's clients read the first name, Anthropic's the second.
  const ids = `${firstIdName}${requestId}\r\n${secondIdName}${requestId}\r\n`;
  const own = known.get(headers) ?? linesOf(headers);
  const date = `Date: ${dateText(secondOf(nowMs))}\r\n`;
  const end =
    keepAliveMs !== undefined
      ? keptLines(keepAliveMs)
      : headers['connection'] === 'close'
        ? ''
        : 'connection: close\r\n';
  return statusLineOf(status) + ids + own + date + end;
}

/** A head whose ids and length are still to be filled in: answers of one kind differ in nothing else for a second. */
interface Stencil {
  readonly status: number;
  readonly headers: ResponseHeaders;
  readonly second: number;
  readonly keepAliveMs: number | undefined;
  readonly idLength: number;
  /** Up to where the length of the body stands. */
  readonly bytes: Buffer;
  readonly firstIdAt: number;
  readonly secondIdAt: number;
}

let lately: Stencil | undefined;

/** A whole answer in one piece of memory. Its head says what `headText` would, the length of its body last. */
export function wholeAnswer(head: ReplyHead, body: Uint8Array): Buffer {
  // Headers that were made for this answer: the next one has others.
  if (!Object.isFrozen(head.headers)) {
    const text = headText(head, `content-length: ${body.length}\r\n`);
    const whole = Buffer.allocUnsafe(text.length + body.length);
    whole.write(text, 0, 'latin1');
    whole.set(body, text.length);
    return whole;
  }
  const { bytes, firstIdAt, secondIdAt } = stencilOf(head);
  const whole = inOnePiece(bytes, body, head.added);
  const { requestId } = head;
  for (let i = 0; i < requestId.length; i += 1) {
    const code = requestId.charCodeAt(i);
    whole[firstIdAt + i] = code;
    whole[secondIdAt + i] = code;
  }
  return whole;
}

function stencilOf(head: ReplyHead): Stencil {
  const { status, headers, requestId, keepAliveMs } = head;
  const second = secondOf(head.nowMs);
  if (
    lately !== undefined &&
    lately.headers === headers &&
    lately.status === status &&
    lately.second === second &&
    lately.keepAliveMs === keepAliveMs &&
    lately.idLength === requestId.length
  )
    return lately;
  const text = startOf(head);
  const firstIdAt = statusLineOf(status).length + firstIdName.length;
  lately = {
    status,
    headers,
    second,
    keepAliveMs,
    idLength: requestId.length,
    bytes: Buffer.from(`${text}content-length: `, 'latin1'),
    firstIdAt,
    secondIdAt: firstIdAt + requestId.length + 2 + secondIdName.length,
  };
  return lately;
}

/** What every head has already, whoever else names it. Twice on one answer, clients take it for an attack. */
const ours: ReadonlySet<string> = new Set([
  'content-length',
  'transfer-encoding',
  'x-request-id',
  'request-id',
]);

/** Names that were looked at, and whether they are ours. */
const names = new Map<string, boolean>();
/** Answers of upstreams may bring names of their own. */
const namesMax = 1_024;

function judgedName(name: string): boolean {
  assert(headerName.test(name), `header ${name} can be sent`);
  const isOurs = ours.has(name.toLowerCase());
  if (names.size < namesMax) names.set(name, isOurs);
  return isOurs;
}

/** The lines of headers that never change, which were looked at once. */
const known = new WeakMap<ResponseHeaders, string>();

function linesOf(headers: ResponseHeaders): string {
  let lines = '';
  for (const name in headers) {
    const value = headers[name] ?? '';
    const isOurs = names.get(name) ?? judgedName(name);
    assert(headerValue.test(value), `header ${name} can be sent`);
    if (!isOurs) lines += `${name}: ${value}\r\n`;
  }
  if (Object.isFrozen(headers)) known.set(headers, lines);
  return lines;
}

let keptMs = -1;
let keptText = '';

/** Listeners mostly agree on for how long. */
function keptLines(keepAliveMs: number): string {
  if (keepAliveMs !== keptMs) {
    keptMs = keepAliveMs;
    keptText = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1_000)}\r\n`;
  }
  return keptText;
}

const statusLines = new Map<number, string>();

function statusLineOf(status: number): string {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
    statusLines.set(status, line);
  }
  return line;
}

function secondOf(nowMs: number): number {
  return Math.floor(nowMs / 1_000);
}

let dateSecond = -1;
let dateShown = '';

function dateText(second: number): string {
  if (second !== dateSecond) {
    dateSecond = second;
    dateShown = new Date(second * 1_000).toUTCString();
  }
  return dateShown;
}
