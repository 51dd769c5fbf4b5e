import {
  type Agent,
  type ClientRequest,
  type IncomingMessage,
  request as send,
  STATUS_CODES,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { answerOfProblem, sendOwnRaw } from './answer.ts';
import { callProblemOf } from './client.ts';
import { answerFields } from './fields.ts';
import type { MeshLimits } from './limits.ts';
import type { RelayPlan } from './relay.ts';
import { keepTunnelAlive, splice } from './tunnel.ts';

export interface SwitchPlan {
  readonly agent: Agent;
  readonly place: RelayPlan['place'];
  readonly method: string;
  readonly target: string;
  readonly fields: readonly string[];
  /** The protocol that the caller asks for. */
  readonly protocol: string;
  readonly limits: MeshLimits;
}

/**
 * Passes on a request for another protocol (RFC 9110 section 7.8). Where the other end agrees, both connections are
 * joined; where it does not, its answer goes back and the connection ends.
 */
export function relaySwitch(
  socket: Duplex,
  early: Buffer,
  plan: SwitchPlan,
): Promise<{ readonly status: number | undefined }> {
  const { agent, place, method, target, fields, protocol, limits } = plan;
  const headers = [...fields, 'Connection', 'Upgrade', 'Upgrade', protocol];
  return new Promise((resolve) => {
    let upstream: ClientRequest;
    try {
      upstream = send({ agent, ...place, method, path: target, setHost: false, headers });
    } catch {
      // node:http would not write such a head.
      sendOwnRaw(socket, { code: 'invalid_request', message: 'This cannot be passed on.' });
      resolve({ status: undefined });
      return;
    }
    const timer = setTimeout(
      () => {
        sendOwnRaw(socket, { code: 'upstream_timeout', message: 'The other end did not answer.' });
        upstream.destroy();
        resolve({ status: undefined });
      },
      limits.dialMs * 2 + limits.firstByteMs,
    ).unref();
    const gone = (): void => {
      clearTimeout(timer);
      upstream.destroy();
      resolve({ status: undefined });
    };
    socket.once('close', gone);
    upstream.once('upgrade', (answer, other: Socket, first) => {
      clearTimeout(timer);
      socket.off('close', gone);
      socket.write(switchingHead(answer, protocol));
      if (first.length > 0) socket.write(first);
      if (early.length > 0) other.write(early);
      keepTunnelAlive(other);
      void splice(socket, other).then(() => resolve({ status: 101 }));
    });
    upstream.once('response', (answer) => {
      clearTimeout(timer);
      socket.off('close', gone);
      socket.write(plainHead(answer));
      answer.pipe(socket);
      answer.once('close', () => {
        if (!answer.complete) socket.destroy();
        resolve({ status: answer.statusCode });
      });
    });
    upstream.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      socket.off('close', gone);
      const problem = callProblemOf(cause);
      const why = cause.code ?? cause.message;
      if (socket.writable) {
        sendOwnRaw(
          socket,
          problem === undefined
            ? { code: 'upstream_error', message: `The other end failed: ${why}.` }
            : answerOfProblem(problem),
        );
      }
      resolve({ status: undefined });
    });
    upstream.end();
  });
}

function switchingHead(answer: IncomingMessage, protocol: string): string {
  const agreed = answer.headers.upgrade ?? protocol;
  return headOf(101, answer, ['Connection', 'Upgrade', 'Upgrade', agreed]);
}

/** A refusal to switch: its body ends with the connection. */
function plainHead(answer: IncomingMessage): string {
  return headOf(answer.statusCode ?? 502, answer, ['Connection', 'close']);
}

function headOf(status: number, answer: IncomingMessage, own: readonly string[]): string {
  const fields = [...answerFields(answer.rawHeaders), ...own];
  const lines = [`HTTP/1.1 ${status} ${answer.statusMessage ?? STATUS_CODES[status] ?? ''}`];
  for (let index = 0; index + 1 < fields.length; index += 2) {
    lines.push(`${fields[index]}: ${fields[index + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}
