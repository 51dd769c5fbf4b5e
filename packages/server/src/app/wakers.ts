import { onceUnlessItFails } from '@postern/core/base';
import type { WakeBy } from '@postern/core/contract';
import type { SecretReader } from '../adapters/provider-http/index.ts';
import { secretReader } from '../adapters/secrets/index.ts';
import type { Waker } from '../gateway/index.ts';
import type { Egress } from '../http/index.ts';

export interface WakerSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly egress: Egress;
}

/** Each is loaded with the first machine that it wakes. */
export function wakerOf(by: WakeBy, surroundings: WakerSurroundings): Waker {
  const made = onceUnlessItFails(() => load(by, surroundings));
  return { wake: async (signal) => (await made()).wake(signal) };
}

async function load(by: WakeBy, surroundings: WakerSurroundings): Promise<Waker> {
  if ('lan' in by) {
    const { createLanWaker } = await import('../adapters/wake-lan/index.ts');
    return createLanWaker(by.lan);
  }
  if ('command' in by) {
    const { createCommandWaker } = await import('../adapters/wake-command/index.ts');
    return createCommandWaker({ command: by.command, env: surroundings.env });
  }
  const { createHttpWaker } = await import('../adapters/wake-http/index.ts');
  const { bearer, ...http } = by.http;
  const token: SecretReader | undefined =
    bearer === undefined ? undefined : secretReader(bearer, surroundings);
  return createHttpWaker({ ...http, token, egress: surroundings.egress });
}
