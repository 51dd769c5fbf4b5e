import { onceUnlessItFails } from '@postern/core/base';
import type { EgressHandle } from '../adapters/egress-socket/index.ts';
import type { Egress } from '../http/index.ts';

/** The way out, loaded with the first call that needs it: code that an idle gateway with nothing behind it does not pay. */
export interface LazyEgress {
  readonly egress: Egress;
  close(): Promise<void>;
}

export function createLazyEgress(): LazyEgress {
  const loading = onceUnlessItFails(load);
  let handle: EgressHandle | undefined;
  const loaded: Egress = async (request) => {
    handle = await loading();
    return handle.egress(request);
  };
  return {
    egress: (request) => (handle === undefined ? loaded(request) : handle.egress(request)),
    close: async () => {
      await (await loading.begun())?.close();
    },
  };
}

async function load(): Promise<EgressHandle> {
  const { createEgress } = await import('../adapters/egress-socket/index.ts');
  return createEgress();
}
