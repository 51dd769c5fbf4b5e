import type { EgressHandle } from '../adapters/egress-undici/index.ts';
import type { Egress } from '../http/index.ts';

/** The way out, loaded with the first call that needs it: 14 MB that an idle gateway with nothing behind it does not pay. */
export interface LazyEgress {
  readonly egress: Egress;
  close(): Promise<void>;
}

export function createLazyEgress(): LazyEgress {
  let handle: Promise<EgressHandle> | undefined;
  return {
    egress: async (request) => {
      handle ??= import('../adapters/egress-undici/index.ts').then(
        ({ createEgress }) => createEgress(),
        (fault: unknown) => {
          // The next call may find what this one missed (an update that was under way).
          handle = undefined;
          throw fault;
        },
      );
      return (await handle).egress(request);
    },
    close: async () => {
      if (handle !== undefined) await (await handle).close();
    },
  };
}
