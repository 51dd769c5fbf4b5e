import { STATUS_CODES } from 'node:http';
import { errorRow } from '@postern/core/errors';
import type { HeadFault } from './head.ts';

/** A refusal of the listener itself, before any dialect is known: always the OpenAI envelope, always closing. */
export interface RefusalAnswer {
  readonly status: number;
  /** Without those that a reply sets by itself: length and request id. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export function refusalAnswer(fault: HeadFault, requestId: string): RefusalAnswer {
  const row = errorRow(fault.code);
  const error = {
    message: `${fault.message}. ${row.fix}`,
    type: row.openaiType,
    param: null,
    code: row.openaiCode,
  };
  const body = JSON.stringify({ error, request_id: requestId });
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-should-retry': String(row.retry === 'yes'),
    connection: 'close',
  };
  if (fault.allow !== undefined) headers['allow'] = fault.allow;
  if (row.status === 503) headers['retry-after'] = '1';
  return { status: fault.status ?? row.status, headers, body };
}

/** Its headers where no reply sets any: length and request id too. */
export function wholeHeaders(
  { headers, body }: RefusalAnswer,
  requestId: string,
): Readonly<Record<string, string>> {
  const length = String(Buffer.byteLength(body));
  return { ...headers, 'content-length': length, 'x-request-id': requestId };
}

/** The same as bytes, for connections whose parser has given up. */
export function rawAnswer(fault: HeadFault, requestId: string, nowMs: number): string {
  const answer = refusalAnswer(fault, requestId);
  const { status, body } = answer;
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `date: ${new Date(nowMs).toUTCString()}`,
    ...Object.entries(wholeHeaders(answer, requestId)).map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}
