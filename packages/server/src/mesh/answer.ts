import { STATUS_CODES } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ErrorCode, errorRow } from '@postern/core/errors';
import type { CallProblem } from './call-problem.ts';
import { refusalText } from './peer.ts';

/** What one of the mesh's own listeners answers instead of the other end. */
export interface OwnAnswer {
  readonly code: ErrorCode;
  readonly message: string;
  readonly status?: number;
  readonly retryAfterMs?: number;
}

/** Says that an answer is ours and not the other end's, and why. */
export const refusedField = 'x-postern-mesh';

function textOf({ code, message, status, retryAfterMs }: OwnAnswer): {
  readonly status: number;
  readonly fields: string[];
  readonly body: string;
} {
  const row = errorRow(code);
  const error = { message, type: row.openaiType, param: null, code: row.openaiCode };
  const body = JSON.stringify({ error });
  const fields = [
    'content-type',
    'application/json',
    'content-length',
    String(Buffer.byteLength(body)),
    'cache-control',
    'no-store',
    refusedField,
    code,
  ];
  if (retryAfterMs !== undefined) {
    fields.push('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1_000))));
  }
  return { status: status ?? row.status, fields, body };
}

/** Answers, where nothing was answered yet; else cuts, so that a part never looks whole. */
export function sendOwn(response: ServerResponse, answer: OwnAnswer): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, fields, body } = textOf(answer);
  response.shouldKeepAlive = false;
  response.writeHead(status, fields);
  response.end(body);
}

/** The same on a bare connection, which ends with it. */
export function sendOwnRaw(socket: Duplex, answer: OwnAnswer): void {
  const { status, fields, body } = textOf(answer);
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'connection: close'];
  for (let index = 0; index + 1 < fields.length; index += 2) {
    lines.push(`${fields[index]}: ${fields[index + 1]}`);
  }
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** Why a target could not be called, in words for the local workload. */
export function answerOfProblem(problem: CallProblem): OwnAnswer {
  switch (problem.kind) {
    case 'refused':
      return {
        code: 'egress_refused',
        message: `Who answers there is not the app that was asked for: ${refusalText(problem.refusal)}. Nothing was sent to it.`,
      };
    case 'ejected':
      return {
        code: 'upstream_unavailable',
        status: 503,
        message: `Every address of this app failed lately (${problem.message}).`,
        retryAfterMs: problem.waitMs,
      };
    case 'no-identity':
      return { code: 'state_unavailable', message: `No call leaves: ${problem.message}.` };
    case 'unknown-target':
    case 'unreachable':
      return {
        code: 'upstream_unavailable',
        message: `This app cannot be reached: ${problem.message}.`,
      };
  }
}
