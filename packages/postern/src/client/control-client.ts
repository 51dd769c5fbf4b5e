import http from 'node:http';
import path from 'node:path';
import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, jsonValueOf, ok } from '@postern/core/base';
import type { ExitCode } from '../command.ts';
import { exitCodes } from '../command.ts';

/** Why a call to the running Postern gave no answer, with the exit code that says so. */
export interface ClientProblem {
  readonly exit: ExitCode;
  readonly message: string;
}

export interface ControlCall {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: JsonValue;
}

const answerBytesMax = 64 * 1_048_576;
const connectMsMax = 10_000;

/** Calls the running Postern over its control socket: only the user that runs it can open that file. */
export class ControlClient {
  readonly #socket: string;

  constructor(stateDir: string) {
    this.#socket = path.join(stateDir, 'run', 'control.sock');
  }

  async json(call: ControlCall): Promise<Result<JsonValue, ClientProblem>> {
    const pieces: string[] = [];
    let length = 0;
    const done = await this.stream(call, (piece) => {
      length += piece.length;
      if (length <= answerBytesMax) pieces.push(piece);
    });
    if (!done.ok) return done;
    const value = jsonValueOf(pieces.join(''));
    if (value === undefined)
      return err({
        exit: exitCodes.failed,
        message: 'Postern answered something that is not JSON.',
      });
    return ok(value);
  }

  /** Passes the answer on piece by piece; resolves at its end. A refusal is a problem with Postern's own words. */
  stream(
    call: ControlCall,
    take: (piece: string) => void,
  ): Promise<Result<undefined, ClientProblem>> {
    return new Promise((resolve) => {
      const body = call.body === undefined ? undefined : JSON.stringify(call.body);
      const request = http.request(
        {
          socketPath: this.#socket,
          method: call.method,
          path: call.path,
          // A connection of its own for each call: a policy is not confirmed over the one that applied it.
          agent: false,
          headers: {
            host: 'localhost',
            ...(body === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          },
        },
        (response) => {
          const status = response.statusCode ?? 0;
          const isOk = status >= 200 && status < 300;
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (piece: string) => {
            if (isOk) take(piece);
            else if (text.length < answerBytesMax) text += piece;
          });
          response.on('end', () => {
            resolve(
              isOk
                ? ok(undefined)
                : err({ exit: exitCodes.failed, message: refusalWords(text, status) }),
            );
          });
          response.on('error', (cause) => {
            resolve(
              err({ exit: exitCodes.failed, message: `The answer broke off: ${cause.message}` }),
            );
          });
        },
      );
      request.setTimeout(connectMsMax, () => {
        if (request.socket?.connecting === true) request.destroy(new Error('no answer'));
      });
      request.on('error', (cause) => {
        resolve(err(this.#unreachable(cause)));
      });
      request.end(body);
    });
  }

  #unreachable(cause: Error): ClientProblem {
    const code = 'code' in cause ? String(cause.code) : cause.message;
    const why =
      code === 'ENOENT' || code === 'ECONNREFUSED'
        ? `No Postern runs with this state folder (${this.#socket}). Start it with \`postern up\`, or name its folder with --state.`
        : code === 'EACCES'
          ? `The control socket ${this.#socket} belongs to another user. Run this as the user that runs Postern.`
          : code === 'EPIPE' || code === 'ECONNRESET'
            ? `Postern closed the connection without an answer (${code}); it may be shutting down. Look with \`postern status\`.`
            : `The control socket ${this.#socket} cannot be used (${code}).`;
    return { exit: exitCodes.unreachable, message: why };
  }
}

/** What callers of the API are advised with names of HTTP; at a terminal there is no field and no header. */
const advice: Readonly<Record<string, string>> = {
  // What is not there is a name that somebody gave, and the list of routes is of no use.
  not_found: '',
  // The message says what is wrong with what was typed.
  invalid_request: '',
  rate_limited: 'Try again in a moment.',
  upstream_rate_limited: 'Try again in a moment.',
  overloaded: 'Try again in a moment.',
  state_unavailable: 'Try again in a moment.',
};

function adviceOf({ code, fix }: JsonObject): string {
  const own = typeof code === 'string' && Object.hasOwn(advice, code) ? advice[code] : undefined;
  return own ?? (typeof fix === 'string' ? fix : '');
}

function ended(sentence: string): string {
  return /[.!?:]$/.test(sentence) ? sentence : `${sentence}.`;
}

function refusalWords(text: string, status: number): string {
  const value = jsonValueOf(text);
  const error = isJsonObject(value) ? value['error'] : undefined;
  if (isJsonObject(error) && typeof error['message'] === 'string') {
    const said = adviceOf(error);
    return said === '' ? error['message'] : `${ended(error['message'])} ${said}`;
  }
  return `Postern answered with status ${status}.`;
}
