import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { err, ok, type Result } from '@postern/core/base';
import { type Refusal, refusal } from '@postern/core/errors';
import type { Egress, OutboundAnswer, OutboundRequest } from '../../http/index.ts';
import {
  type CallProblem,
  callProblemOf,
  type PeerIdentity,
  type PeerWay,
  refusalText,
} from '../../mesh/index.ts';
import { PeerAnswer } from './answer.ts';

export interface PeerEgressOptions {
  /** Undefined while there is none. */
  readonly way: () => PeerWay | undefined;
  /** Told who answered, before the answer is given out. */
  readonly onAnswer: (answer: OutboundAnswer, peer: PeerIdentity) => void;
}

/**
 * The way out to one attested upstream. The connection's peer is judged when it is made, before a byte of a request, and an
 * answer on a connection without a judgement is no answer.
 */
export function createPeerEgress({ way, onAnswer }: PeerEgressOptions): Egress {
  return async (call) => {
    const now = way();
    if (now === undefined) {
      const message = 'The mesh does not run, so that nobody can be asked through it.';
      return err(refusal('upstream_unavailable', message, { detail: { stage: 'connect' } }));
    }
    const sent = await send(call, now);
    if (!sent.ok) return sent;
    const { answer, peer } = sent.value;
    onAnswer(answer, peer);
    return ok(answer);
  };
}

interface Judged {
  readonly answer: PeerAnswer;
  readonly peer: PeerIdentity;
}

function send(call: OutboundRequest, way: PeerWay): Promise<Result<Judged, Refusal>> {
  const { method, url, headers, body, signal, timeouts } = call;
  return new Promise((resolve) => {
    const bytes = body === undefined ? undefined : Buffer.from(body);
    const sent = request({
      agent: way.agent,
      method,
      host: url.hostname,
      port: url.port === '' ? 443 : Number(url.port),
      path: `${url.pathname}${url.search}`,
      headers: {
        ...headers,
        host: url.host,
        ...(bytes === undefined ? {} : { 'content-length': String(bytes.length) }),
      },
    });
    let answer: PeerAnswer | undefined;
    const timers: NodeJS.Timeout[] = [];
    const late = (what: string, ms: number): void => {
      const fail = (): void => {
        const why = refusal('upstream_timeout', `The upstream took too long (${what}).`);
        if (answer === undefined) end(err(why));
        else answer.fail(why);
      };
      timers.push(setTimeout(fail, ms));
    };
    const over = (): void => {
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const end = (outcome: Result<Judged, Refusal>): void => {
      if (!outcome.ok) {
        over();
        sent.destroy();
      }
      resolve(outcome);
    };
    const abort = (): void => {
      if (answer !== undefined) answer.cancel();
      end(err(refusal('upstream_error', 'The caller is gone.')));
    };
    late('whole answer', timeouts.totalMs);
    late('first byte', timeouts.connectMs + timeouts.firstByteMs);
    signal.addEventListener('abort', abort);
    sent.on('error', (cause) => {
      if (answer === undefined) end(err(refusalOf(cause, sent)));
    });
    sent.once('response', (message: IncomingMessage) => {
      clearTimeout(timers[1]);
      const peer = way.peerOf(message.socket);
      answer = new PeerAnswer({ message, idleMs: timeouts.idleMs, over });
      if (peer === undefined) end(err(refusal('egress_refused', 'Nobody knows who answered.')));
      else resolve(ok({ answer, peer }));
    });
    sent.end(bytes);
    if (signal.aborted) abort();
  });
}

function refusalOf(cause: NodeJS.ErrnoException, sent: ClientRequest): Refusal {
  const problem = callProblemOf(cause);
  if (problem !== undefined) return refusalOfProblem(problem);
  const detail = {
    stage: 'first-byte',
    reused: sent.reusedSocket,
    ...(cause.code === undefined ? {} : { cause: cause.code }),
  };
  return refusal('upstream_error', 'The upstream closed the connection without an answer.', {
    detail,
  });
}

function refusalOfProblem(problem: CallProblem): Refusal {
  const detail = { stage: 'connect' };
  if (problem.kind === 'refused') {
    const why = refusalText(problem.refusal);
    const message = `The upstream is not the attested app that the configuration names: ${why}. Nothing was sent.`;
    return refusal('egress_refused', message, { detail });
  }
  const message = `The attested upstream cannot be reached: ${problem.message}.`;
  return refusal('upstream_unavailable', message, { detail });
}
