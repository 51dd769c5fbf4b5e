import { answerFields } from '../fields.ts';

/** The head of an answer as it goes on. */
export interface PassedHead {
  readonly status: number;
  /** Status line and fields, each with its line end; without the empty line. */
  readonly text: string;
  /** `close`: the body ends with the connection, so that it goes on in chunks. */
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  readonly bodyBytes: number;
  /** The connection may serve another request afterwards. */
  readonly keeps: boolean;
}

// Reason phrases may hold anything that a field value may.
const statusLine = /^HTTP\/1\.([01]) ([1-5][0-9]{2})( [\t\x20-\x7e\x80-\xff]*)?$/;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this expression is about
const control = /[\x00-\x08\x0a-\x1f\x7f]/;
const plainLength = /^(?:0|[1-9][0-9]{0,14})$/;
const surrounding = /^[ \t]+|[ \t]+$/g;

interface Framing {
  length: string | undefined;
  coding: string | undefined;
  connection: string;
}

/**
 * Reads the head of an answer, without the empty line at its end, from its text as Latin-1, and writes it anew without what
 * was for the connection. Undefined where RFC 9112 leaves a choice: whoever writes such a head may mean another end of the
 * body than we do.
 */
export function readPassedHead(text: string, headersMax: number): PassedHead | undefined {
  let end = text.indexOf('\r\n');
  if (end === -1) end = text.length;
  const line = statusLine.exec(text.slice(0, end));
  if (line === null) return undefined;
  const raw: string[] = [];
  const framing: Framing = { length: undefined, coding: undefined, connection: '' };
  while (end < text.length) {
    const start = end + 2;
    end = text.indexOf('\r\n', start);
    if (end === -1) end = text.length;
    const colon = text.indexOf(':', start);
    if (colon === -1 || colon >= end) return undefined;
    const name = text.slice(start, colon);
    const value = text.slice(colon + 1, end).replaceAll(surrounding, '');
    if (!token.test(name) || control.test(value)) return undefined;
    if (!noteFraming(framing, name.toLowerCase(), value)) return undefined;
    raw.push(name, value);
    if (raw.length > headersMax * 2) return undefined;
  }
  return passed(Number(line[2]), line[3] ?? ' ', line[1] === '1', raw, framing);
}

function noteFraming(framing: Framing, name: string, value: string): boolean {
  if (name === 'content-length') {
    if (framing.length !== undefined || !plainLength.test(value)) return false;
    framing.length = value;
  } else if (name === 'transfer-encoding') {
    if (framing.coding !== undefined || value.toLowerCase() !== 'chunked') return false;
    framing.coding = value;
  } else if (name === 'connection') {
    framing.connection += `,${value.toLowerCase()}`;
  }
  return true;
}

function passed(
  status: number,
  reason: string,
  isOne: boolean,
  raw: readonly string[],
  { length, coding, connection }: Framing,
): PassedHead | undefined {
  if (coding !== undefined && (length !== undefined || !isOne)) return undefined;
  const isBodiless = status < 200 || status === 204 || status === 304;
  const framing = isBodiless
    ? 'none'
    : coding !== undefined
      ? 'chunked'
      : length === undefined
        ? 'close'
        : 'length';
  const listed = connection.split(',').map((name) => name.trim());
  const stays = isOne ? !listed.includes('close') : listed.includes('keep-alive');
  const fields = answerFields(raw);
  let text = `HTTP/1.1 ${status}${reason}\r\n`;
  for (let index = 0; index + 1 < fields.length; index += 2) {
    // A list of trailers announces what only a chunked body can have.
    if (framing !== 'chunked' && fields[index]?.toLowerCase() === 'trailer') continue;
    text += `${fields[index]}: ${fields[index + 1]}\r\n`;
  }
  if (framing === 'chunked' || framing === 'close') text += 'Transfer-Encoding: chunked\r\n';
  return {
    status,
    text,
    framing,
    bodyBytes: framing === 'length' ? Number(length) : 0,
    keeps: stays && framing !== 'close',
  };
}
