import type { Result, Secret } from '@postern/core/base';
import { err, isJsonObject, jsonValueOf, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Egress } from '../../http/index.ts';
import type { Restarter, Rotator } from '../../ops/index.ts';

export interface HttpHook {
  readonly url: string;
  readonly method: 'POST' | 'PUT';
  /** Token of the Authorization header, as it stands now. */
  readonly token: (() => Promise<Result<Secret, Refusal>>) | undefined;
  readonly egress: Egress;
}

const timeouts = { connectMs: 5_000, firstByteMs: 60_000, idleMs: 30_000, totalMs: 120_000 };
const answerBytesMax = 65_536;
const markCharsMax = 200;

export function createHttpRestarter(hook: HttpHook & { readonly statusUrl: string }): Restarter {
  return {
    place: `a call to ${new URL(hook.url).host}`,
    startMark: async (signal) => {
      const answered = await call(hook, { method: 'GET', url: hook.statusUrl, signal });
      if (!answered.ok) return answered;
      const value = jsonValueOf(answered.value);
      const mark = isJsonObject(value) ? value['started_at'] : undefined;
      return typeof mark === 'string' || typeof mark === 'number'
        ? ok(String(mark).slice(0, markCharsMax))
        : err('its status has no started_at');
    },
    restart: async (signal) => {
      const done = await call(hook, { method: hook.method, url: hook.url, signal });
      return done.ok ? ok(undefined) : done;
    },
  };
}

export function createHttpRotator(hook: HttpHook): Rotator {
  return {
    place: `a call to ${new URL(hook.url).host}`,
    rotate: async (next, signal) => {
      const body = JSON.stringify({ key: next.reveal() });
      const done = await call(hook, { method: hook.method, url: hook.url, signal, body });
      return done.ok ? ok(undefined) : done;
    },
  };
}

async function call(
  { token: readToken, egress }: HttpHook,
  request: {
    readonly method: 'GET' | 'POST' | 'PUT';
    readonly url: string;
    readonly signal: AbortSignal;
    readonly body?: string;
  },
): Promise<Result<string, string>> {
  const token = await readToken?.();
  if (token?.ok === false) return err(`the call has no token: ${token.error.message}`);
  const { body } = request;
  const called = await egress({
    method: request.method,
    url: new URL(request.url),
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token.value.reveal()}` }),
    },
    ...(body === undefined ? {} : { body }),
    signal: request.signal,
    timeouts,
    // The operator wrote this address.
    permission: { internal: true },
  });
  if (!called.ok) return err(`the call failed: ${called.error.message}`);
  const { status } = called.value;
  const read = await called.value.readAll(answerBytesMax);
  if (status < 200 || status > 299) return err(`the call was answered with status ${status}`);
  return read.ok ? ok(Buffer.from(read.value).toString('utf8')) : err(read.error.message);
}
