import type { Dialect } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { HttpReply, HttpRequest, ResponseHeaders } from '../http/index.ts';

/** What the log learns about a defect; the caller learns only the request id. */
export type FaultLog = (fault: unknown, request: HttpRequest) => void;

/** What a machine has no more of for the moment: files to open, memory, room on a disk. */
const shortages: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'EDQUOT']);
const shortageRetryMs = 1_000;

/**
 * Something threw, so it is a defect of ours: the caller gets an id, the log gets the cause. Where the machine is short of
 * something it is none, and may be over soon.
 */
export function refusalOfFault(fault: unknown, request: HttpRequest, log: FaultLog): Refusal {
  log(fault, request);
  if (fault instanceof Error && 'code' in fault && shortages.has(fault.code)) {
    return refusal(
      'overloaded',
      'The machine of this gateway is short of files, memory or room. Try again.',
      {
        retryAfterMs: shortageRetryMs,
      },
    );
  }
  return refusal(
    'internal',
    `Something is broken in the gateway. Report the request id ${request.id}.`,
  );
}

/** Nobody reads it: the status under which nginx logs a request whose caller went away. */
export const callerGoneStatus = 499;

/** A request, the way to answer it, and the format to do it in. */
export interface Exchange {
  readonly request: HttpRequest;
  readonly reply: HttpReply;
  readonly dialect: Dialect;
}

/**
 * The one place where a refusal becomes a response. An answer that has begun cannot take a status back: it is cut,
 * so that the caller sees it broken (streams put their error event in before this).
 */
export function rescue(exchange: Exchange, error: Refusal, headers: ResponseHeaders = {}): void {
  const { request, reply, dialect } = exchange;
  if (reply.started) return;
  if (request.signal.aborted) {
    reply.send(callerGoneStatus, {}, '');
    return;
  }
  const wire = dialect.encodeRefusal(error, request.id);
  reply.send(
    wire.status,
    { ...wire.headers, ...headers, 'content-type': wire.contentType },
    wire.body,
  );
}
