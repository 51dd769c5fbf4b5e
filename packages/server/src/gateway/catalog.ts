import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Catalog, ModelInfo, ProviderListing, Target } from '@postern/core/routing';
import { whenAborted } from './abort.ts';
import { gatewayLimits } from './limits.ts';
import type { Provider } from './ports.ts';

/** How a provider's list is doing: for `status`, `doctor` and the line that `up` prints. */
export interface ListingState {
  readonly provider: string;
  readonly place: string;
  readonly models: readonly ModelInfo[];
  readonly problem: Refusal | undefined;
  readonly listedAtMs: number | undefined;
}

export interface CatalogOptions {
  readonly providers: readonly Provider[];
  /** Model names fixed by configuration, by provider id: these providers are never asked. */
  readonly fixedModels: ReadonlyMap<string, readonly ModelInfo[]>;
  readonly aliases: Readonly<Record<string, readonly Target[]>>;
  readonly defaultModel: string | undefined;
  readonly nowMs: () => number;
}

/**
 * The models of all providers, listed once at the start and again when a name is missed. The current catalog is a
 * frozen value; a list that fails leaves the last good one in place.
 */
export interface ModelCatalog {
  current(): Catalog;
  states(): readonly ListingState[];
  /** Lists these providers again, each at most every five seconds and one at a time; gives the catalog afterwards. */
  relist(providers: readonly string[], signal: AbortSignal): Promise<Catalog>;
  /** Lists these providers now, however lately they were listed: something is known to be different. */
  listNow(providers: readonly string[], signal: AbortSignal): Promise<Catalog>;
  /** Lists all providers. */
  refresh(signal: AbortSignal): Promise<Catalog>;
}

interface Entry {
  readonly provider: Provider;
  models: readonly ModelInfo[];
  problem: Refusal | undefined;
  triedAtMs: number | undefined;
  listedAtMs: number | undefined;
  inFlight: Promise<void> | undefined;
}

export function createCatalog(options: CatalogOptions): ModelCatalog {
  const entries = new Map<string, Entry>();
  for (const provider of options.providers) {
    entries.set(provider.id, {
      provider,
      models: options.fixedModels.get(provider.id) ?? [],
      problem: undefined,
      triedAtMs: undefined,
      listedAtMs: undefined,
      inFlight: undefined,
    });
  }
  const listable = [...entries.values()].filter(
    ({ provider }) => !options.fixedModels.has(provider.id),
  );
  let current = freeze(entries, options);

  function listOne(entry: Entry): Promise<void> {
    entry.inFlight ??= (async () => {
      entry.triedAtMs = options.nowMs();
      // Not the caller's signal: other callers wait for the same list, and it has its own limit.
      const listed = await entry.provider.list(AbortSignal.timeout(gatewayLimits.listMsMax));
      take(entry, listed, options.nowMs());
      current = freeze(entries, options);
    })().finally(() => {
      entry.inFlight = undefined;
    });
    return entry.inFlight;
  }

  async function listAll(which: readonly Entry[], signal: AbortSignal): Promise<Catalog> {
    const lists = Promise.all(which.map(listOne));
    await Promise.race([lists, whenAborted(signal)]);
    return current;
  }

  return {
    current: () => current,
    states: () =>
      [...entries.values()].map((entry) => ({
        provider: entry.provider.id,
        place: entry.provider.place,
        models: entry.models,
        problem: entry.problem,
        listedAtMs: entry.listedAtMs,
      })),
    relist(providers, signal) {
      const due = listable.filter(
        (entry) =>
          providers.includes(entry.provider.id) &&
          (entry.inFlight !== undefined || isDue(entry, options.nowMs())),
      );
      return due.length === 0 ? Promise.resolve(current) : listAll(due, signal);
    },
    listNow: (providers, signal) =>
      listAll(
        listable.filter(({ provider }) => providers.includes(provider.id)),
        signal,
      ),
    refresh: (signal) => listAll(listable, signal),
  };
}

function isDue(entry: Entry, nowMs: number): boolean {
  return entry.triedAtMs === undefined || nowMs - entry.triedAtMs >= gatewayLimits.relistMsMin;
}

function take(entry: Entry, listed: Result<readonly ModelInfo[], Refusal>, nowMs: number): void {
  if (!listed.ok) {
    entry.problem = listed.error;
    return;
  }
  entry.problem = undefined;
  entry.listedAtMs = nowMs;
  entry.models = Object.freeze(listed.value.slice(0, gatewayLimits.modelsPerProviderMax));
}

function freeze(entries: ReadonlyMap<string, Entry>, options: CatalogOptions): Catalog {
  const providers: ProviderListing[] = [...entries.values()].map((entry) => ({
    id: entry.provider.id,
    models: entry.models,
    sendsUnlisted: entry.provider.sendsUnlisted,
  }));
  return Object.freeze({ providers, aliases: options.aliases, defaultModel: options.defaultModel });
}
