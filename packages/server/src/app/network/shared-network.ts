import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { PostgresStore } from '../../adapters/store-postgres/index.ts';
import type { SharedNetwork } from './turn.ts';

const keyFact = 'control-key';

/** What gateways that coordinate one network keep in PostgreSQL besides the journal. The private key is not among it. */
export function sharedNetworkOf(
  store: Pick<PostgresStore, 'network' | 'role' | 'onRole'>,
): SharedNetwork {
  let readMs = 0;
  return {
    onRole: (listener) => store.onRole(listener),
    claimKey: async (publicKey) => {
      const claimed = await store.network.claim(keyFact, publicKey);
      return claimed.ok ? claimed : err(claimed.error.message);
    },
    reports: {
      load: async () => {
        const read = await store.network.reportsSince(readMs);
        if (!read.ok) return err(read.error.message);
        readMs = read.value.untilMs;
        return ok(new Map(read.value.reports.map(({ node, report }) => [node, parsed(report)])));
      },
      save: async (changed) => {
        // Whoever does not lead hears no machine: nothing is lost.
        if (store.role().kind !== 'leader') return ok(undefined);
        const texts = [...changed].map(
          ([node, report]) =>
            [node, report === undefined ? undefined : JSON.stringify(report)] as const,
        );
        const saved: Result<void, { readonly message: string }> = await store.network.saveReports(
          new Map(texts),
        );
        return saved.ok ? ok(undefined) : err(saved.error.message);
      },
    },
  };
}

/** Of our own writing, but whoever may write to the database may write anything: what is no JSON says nothing. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
