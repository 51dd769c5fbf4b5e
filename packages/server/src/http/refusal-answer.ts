import { STATUS_CODES } from 'node:http';
import { errorRow } from '@postern/core/errors';
import type { HeadFault } from './head.ts';

/** A refusal of the listener itself, before any dialect is known: always the OpenAI envelope, always closing. */
export interface RefusalAnswer {
  readonly status: number;
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
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'x-request-id': requestId,
    'x-should-retry': String(row.retry === 'yes'),
    connection: 'close',
  };
  if (fault.allow !== undefined) headers['allow'] = fault.allow;
  if (row.status === 503) headers['retry-after'] = '1';
  return { status: fault.status ?? row.status, headers, body };
}

/** The same as bytes, for connections whose parser has given up. */
export function rawAnswer(fault: HeadFault, requestId: string, nowMs: number): string {
  const { status, headers, body } = refusalAnswer(fault, requestId);
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `date: ${new Date(nowMs).toUTCString()}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}
