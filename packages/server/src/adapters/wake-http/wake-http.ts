import type { Result, Secret } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Waker } from '../../gateway/index.ts';
import type { Egress } from '../../http/index.ts';

export interface HttpWakerOptions {
  readonly url: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Sent as JSON. */
  readonly body?: string | undefined;
  /** Token of the Authorization header, as it stands now. */
  readonly token: (() => Promise<Result<Secret, Refusal>>) | undefined;
  readonly egress: Egress;
}

const timeouts = { connectMs: 5_000, firstByteMs: 30_000, idleMs: 30_000, totalMs: 60_000 };

export function createHttpWaker(options: HttpWakerOptions): Waker {
  return {
    wake: async (signal) => {
      const token = await options.token?.();
      if (token?.ok === false) return err(`the wake call has no token: ${token.error.message}`);
      const { body } = options;
      const called = await options.egress({
        method: options.method,
        url: new URL(options.url),
        headers: {
          accept: '*/*',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token.value.reveal()}` }),
        },
        ...(body === undefined ? {} : { body }),
        signal,
        timeouts,
        // The operator wrote this address.
        permission: { internal: true },
      });
      if (!called.ok) return err(`the wake call failed: ${called.error.message}`);
      const { status } = called.value;
      called.value.cancel();
      if (status >= 200 && status < 300) return ok(undefined);
      return err(`the wake call was answered with status ${status}`);
    },
  };
}
