import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { Egress } from '../../http/index.ts';
import type { Delivered } from '../../observe/trace/index.ts';

/** Answers of collectors and webhooks are a line; more is not read. */
const answerBytesMax = 65_536;

/** Neither a collector nor a webhook has long to think. */
const timeouts = { connectMs: 5_000, firstByteMs: 10_000, idleMs: 5_000, totalMs: 15_000 } as const;

export interface PostAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

/** One POST to an address that the operator wrote, which is what permits it. A sentence where nothing answered. */
export async function post(
  egress: Egress,
  target: { readonly url: string; readonly headers: Readonly<Record<string, string>> },
  body: string,
): Promise<Result<PostAnswer, string>> {
  try {
    const answer = await egress({
      method: 'POST',
      url: new URL(target.url),
      headers: { 'content-type': 'application/json', ...target.headers },
      body,
      signal: AbortSignal.timeout(timeouts.totalMs),
      timeouts,
      permission: { internal: true },
    });
    if (!answer.ok) return err(answer.error.message);
    const read = await answer.value.readAll(answerBytesMax);
    if (!read.ok) answer.value.cancel();
    return ok({ status: answer.value.status, body: read.ok ? read.value : new Uint8Array() });
  } catch (cause) {
    return err(messageOf(cause));
  }
}

const requestTimeout = 408;
const tooManyRequests = 429;

/** Whether another try can help: a server that is away, busy or broken may come back, one that says no will again. */
export function deliveredAs(
  answer: Result<PostAnswer, string>,
  rejectedIn: (body: Uint8Array) => number = () => 0,
): Delivered {
  if (!answer.ok) return { kind: 'later', why: answer.error };
  const { status, body } = answer.value;
  if (status >= 200 && status < 300) return { kind: 'taken', rejected: rejectedIn(body) };
  const why = `answered with status ${status}`;
  const isPassing = status >= 500 || status === requestTimeout || status === tooManyRequests;
  return { kind: isPassing ? 'later' : 'refused', why };
}
