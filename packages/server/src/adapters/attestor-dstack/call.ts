import { request } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { err, ok, readJson, utf8 } from '@postern/core/base';
import type { JsonLimits, JsonObject, Result } from '@postern/core/base';
import type { AgentAddress } from './address.ts';

/** Why the agent gave nothing usable. */
export interface AgentError {
  readonly code:
    | 'agent_unreachable'
    | 'agent_timeout'
    /** The agent is older or newer and does not have the method. */
    | 'agent_method_unknown'
    | 'agent_refused'
    | 'agent_answer_too_large'
    | 'agent_answer_malformed';
  readonly message: string;
}

export interface AgentCall {
  readonly address: AgentAddress;
  /** Path of the method, such as `/GetQuote`. */
  readonly path: string;
  readonly body: JsonObject;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** A quote with its full event log is below 100 kB; attestations may have 10 MiB in hex. */
const answerLimits: JsonLimits = {
  bytesMax: 24 << 20,
  depthMax: 16,
  keysPerObjectMax: 256,
  valuesMax: 65_536,
  stringBytesMax: 24 << 20,
  numberCharsMax: 32,
  duplicateKeys: 'refuse',
};
/** An error text goes to a log; the agent's are one line. */
const errorTextMax = 500;

/** One POST of JSON to the agent, answered by a JSON object or by why there is none. */
export async function callAgent(call: AgentCall): Promise<Result<JsonObject, AgentError>> {
  const answer = await exchange(call);
  if (!answer.ok) return answer;
  const { status, body } = answer.value;
  const json = readJson(body, answerLimits);
  const object = json.ok && isObject(json.value) ? json.value : undefined;
  if (status === 404) return fail('agent_method_unknown', call.path);
  if (status !== 200) {
    const text = object?.['error'];
    const reason = typeof text === 'string' ? text.slice(0, errorTextMax) : 'no reason given';
    return fail('agent_refused', `${call.path}: HTTP ${status}: ${reason}`);
  }
  // Methods without an answer send nothing at all.
  if (body.length === 0) return ok({});
  return object === undefined
    ? fail('agent_answer_malformed', `${call.path}: not a JSON object`)
    : ok(object);
}

interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

function exchange(call: AgentCall): Promise<Result<Answer, AgentError>> {
  const { timeoutMs, path } = call;
  const body = utf8(JSON.stringify(call.body));
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = call.signal === undefined ? timeout : AbortSignal.any([timeout, call.signal]);
  return new Promise((resolve) => {
    const failed = (error: Error): void => {
      resolve(
        timeout.aborted
          ? fail('agent_timeout', `${path}: no answer in ${timeoutMs} ms`)
          : fail('agent_unreachable', `${path}: ${error.message}`),
      );
    };
    // A connection for each call: calls are rare, and a kept one breaks when the agent restarts.
    const options = { ...target(call), agent: false, signal, headers: headersOf(body) } as const;
    const outgoing = request(options, (incoming) => {
      collect(incoming, path).then(resolve, failed);
    });
    outgoing.on('error', failed);
    outgoing.end(body);
  });
}

function target({ address, path }: AgentCall): RequestOptions {
  if (address.kind === 'socket') return { socketPath: address.path, path, method: 'POST' };
  const { hostname, port, pathname } = address.url;
  const base = pathname.replace(/\/$/, '');
  return { hostname, port, path: `${base}${path}`, method: 'POST' };
}

function headersOf(body: Uint8Array): Record<string, string | number> {
  // The agent's server wants a Host; over a socket there is none of its own.
  return { host: 'dstack', 'content-type': 'application/json', 'content-length': body.length };
}

async function collect(
  incoming: IncomingMessage,
  path: string,
): Promise<Result<Answer, AgentError>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of incoming) {
    // Without an encoding set, the chunks of a message are buffers.
    const bytes = chunk as Buffer;
    length += bytes.length;
    if (length > answerLimits.bytesMax) {
      incoming.destroy();
      return fail('agent_answer_too_large', path);
    }
    chunks.push(bytes);
  }
  return ok({ status: incoming.statusCode ?? 0, body: new Uint8Array(Buffer.concat(chunks)) });
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function fail(code: AgentError['code'], message: string): Result<never, AgentError> {
  return err({ code, message });
}
