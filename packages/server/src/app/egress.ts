import type { EgressHandle } from '../adapters/egress-socket/index.ts';
import type { Egress } from '../http/index.ts';

/** The way out, loaded with the first call that needs it: code that an idle gateway with nothing behind it does not pay. */
export interface LazyEgress {
  readonly egress: Egress;
  close(): Promise<void>;
}

export function createLazyEgress(): LazyEgress {
  let loading: Promise<EgressHandle> | undefined;
  let handle: EgressHandle | undefined;
  const loaded: Egress = async (request) => {
    loading ??= load().catch((fault: unknown) => {
      // The next call may find what this one missed (an update that was under way).
      loading = undefined;
      throw fault;
    });
    handle = await loading;
    return handle.egress(request);
  };
  return {
    egress: (request) => (handle === undefined ? loaded(request) : handle.egress(request)),
    close: async () => {
      if (loading !== undefined) await (await loading).close();
    },
  };
}

async function load(): Promise<EgressHandle> {
  const { createEgress } = await import('../adapters/egress-socket/index.ts');
  return createEgress();
}
