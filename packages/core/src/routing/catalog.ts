/** What is known about a model that a provider offers. */
export interface ModelInfo {
  readonly id: string;
  /** The most output tokens it gives, where known. */
  readonly maxOutputTokens?: number;
  /** Epoch seconds, where the provider says. */
  readonly created?: number;
}

/** A provider as routing sees it: its id, what it lists, and whether any name may be sent on to it. */
export interface ProviderListing {
  readonly id: string;
  readonly models: readonly ModelInfo[];
  readonly sendsUnlisted: boolean;
}

/** Where one attempt goes. */
export interface Target {
  readonly provider: string;
  readonly model: string;
  readonly maxOutputTokens?: number;
  /** Targets of the same tier share the requests by weight (default 1); without one a target is a tier of its own. */
  readonly tier?: number;
  readonly weight?: number;
}

/** Everything that names resolve against. Frozen; a new one is made whenever a list or the configuration changes. */
export interface Catalog {
  /** In the order of the configuration or of detection. */
  readonly providers: readonly ProviderListing[];
  readonly aliases: Readonly<Record<string, readonly Target[]>>;
  readonly defaultModel: string | undefined;
}

/**
 * What an asked name means. `name` is what access rules are matched with: the alias, or `provider/model`.
 */
export type Resolution =
  | { readonly kind: 'found'; readonly name: string; readonly targets: readonly Target[] }
  /** Nobody lists it; `relist` names the providers whose list may be stale. */
  | { readonly kind: 'unknown'; readonly asked: string; readonly relist: readonly string[] };

const fallbackAlias = 'instant';
const fallbackModel = 'builtin/eliza';

/** The name that answers a request which names none (design: default, `instant`, first detected, eliza). */
export function defaultName(catalog: Catalog): string {
  if (catalog.defaultModel !== undefined) return catalog.defaultModel;
  if (Object.hasOwn(catalog.aliases, fallbackAlias)) return fallbackAlias;
  for (const provider of catalog.providers) {
    const first = provider.models[0];
    if (first !== undefined) return `${provider.id}/${first.id}`;
  }
  return fallbackModel;
}

export function resolveModel(catalog: Catalog, asked: string | undefined): Resolution {
  const name = asked ?? defaultName(catalog);
  const alias = Object.hasOwn(catalog.aliases, name) ? catalog.aliases[name] : undefined;
  if (alias !== undefined) return { kind: 'found', name, targets: alias };
  return resolveQualified(catalog, name) ?? resolveBare(catalog, name);
}

/** `provider/model`: the first segment names a provider. The model itself may contain slashes. */
function resolveQualified(catalog: Catalog, name: string): Resolution | undefined {
  const slash = name.indexOf('/');
  if (slash <= 0) return undefined;
  const provider = catalog.providers.find((each) => each.id === name.slice(0, slash));
  if (provider === undefined) return undefined;
  const model = name.slice(slash + 1);
  const target = targetAt(provider, model);
  if (target === undefined) return { kind: 'unknown', asked: name, relist: [provider.id] };
  return { kind: 'found', name, targets: [target] };
}

/** A bare name counts when exactly one provider lists it; two providers make it ambiguous, hence unknown. */
function resolveBare(catalog: Catalog, name: string): Resolution {
  const listing = catalog.providers.filter((each) =>
    each.models.some((model) => model.id === name),
  );
  const only = listing[0];
  if (only === undefined || listing.length > 1) {
    const relist = listing.length > 1 ? [] : catalog.providers.map((each) => each.id);
    return { kind: 'unknown', asked: name, relist };
  }
  const target = targetAt(only, name);
  if (target === undefined) return { kind: 'unknown', asked: name, relist: [only.id] };
  return { kind: 'found', name: `${only.id}/${name}`, targets: [target] };
}

function targetAt(provider: ProviderListing, model: string): Target | undefined {
  const info = provider.models.find((each) => each.id === model);
  if (info === undefined && !(provider.sendsUnlisted && model !== '')) return undefined;
  const cap = info?.maxOutputTokens;
  return { provider: provider.id, model, ...(cap === undefined ? {} : { maxOutputTokens: cap }) };
}

/** One name of a list and what is behind it. */
export interface ListedName {
  readonly name: string;
  readonly owner: string;
  readonly created: number | undefined;
  readonly targets: readonly Target[];
}

/** Every name that a caller could ask for, for lists: aliases first, then `provider/model`. Never bare names. */
export function listedNames(catalog: Catalog): readonly ListedName[] {
  const aliases = Object.entries(catalog.aliases).map(([name, targets]) => ({
    name,
    owner: 'postern',
    created: undefined,
    targets,
  }));
  const models = catalog.providers.flatMap((provider) =>
    provider.models.map((model) => ({
      name: `${provider.id}/${model.id}`,
      owner: provider.id,
      created: model.created,
      targets: [{ provider: provider.id, model: model.id }],
    })),
  );
  return [...aliases, ...models];
}
