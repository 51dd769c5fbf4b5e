import { lookup } from 'node:dns/promises';
import type { SocketEgressHandle } from '../adapters/egress-socket/index.ts';
import type { Egress } from '../http/index.ts';

/** The way out, loaded with the first call that needs it: code that an idle gateway with nothing behind it does not pay. */
export interface LazyEgress {
  readonly egress: Egress;
  close(): Promise<void>;
}

export function createLazyEgress(): LazyEgress {
  let loading: Promise<SocketEgressHandle> | undefined;
  let handle: SocketEgressHandle | undefined;
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

/** Connections are ours to keep; where they may go is judged by the one dialer that there is. */
async function load(): Promise<SocketEgressHandle> {
  const [{ createSocketEgress }, { Dialer }, { setOf }, { egressLimits }] = await Promise.all([
    import('../adapters/egress-socket/index.ts'),
    import('../adapters/egress-undici/dial.ts'),
    import('../adapters/egress-undici/address-rules.ts'),
    import('../adapters/egress-undici/limits.ts'),
  ]);
  const context = { resolve: systemResolve, extraInternal: setOf([]), limits: egressLimits };
  return createSocketEgress({ dialer: (place) => new Dialer(place, context) });
}

async function systemResolve(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true, order: 'verbatim' });
  return found.map((one) => one.address);
}
