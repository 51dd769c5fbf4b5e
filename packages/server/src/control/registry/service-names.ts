import { registryLimits, serviceAddresses, serviceLabel } from '@postern/core/registry';
import type { Registry } from './registry.ts';

/** One address that the name of a type answers with. */
export interface NamedAddress {
  readonly label: string;
  readonly address: string;
}

export interface ServiceNamesOptions {
  readonly registry: Pick<Registry, 'types' | 'discover' | 'watch'>;
  /** Told of all of them, whenever any is different. */
  readonly tell: (names: readonly NamedAddress[]) => void;
  readonly after: (ms: number, run: () => void) => { clear(): void };
  readonly signal: AbortSignal;
}

/** Changes are gathered for this long: each goes to every machine of the network. */
const gatherMs = 100;
/** Of a type, whoever has been there for longest is among as many. */
const lookedAtMax = registryLimits.pageMax;

/**
 * Follows who serves what and does not fail, as addresses by name. Types whose names are alike share one. What was
 * told last stands until the first look: now.
 */
export function followServiceNames(options: ServiceNamesOptions): void {
  const { registry, after, signal, tell } = options;
  const byType = new Map<string, readonly string[]>();
  const changed = new Set(registry.types());
  let told = '';
  let timer: { clear(): void } | undefined;
  const look = (): void => {
    timer = undefined;
    if (signal.aborted) return;
    for (const type of changed) {
      const addresses = addressesOf(registry, type);
      if (addresses.length === 0) byType.delete(type);
      else byType.set(type, addresses);
    }
    changed.clear();
    const names = namesOf(byType);
    const text = JSON.stringify(names);
    if (text === told) return;
    told = text;
    tell(names);
  };
  registry.watch((changes) => {
    for (const { instance } of changes) changed.add(instance.nodeType);
    timer ??= after(gatherMs, look);
  }, signal);
  signal.addEventListener('abort', () => timer?.clear(), { once: true });
  look();
}

function addressesOf(registry: ServiceNamesOptions['registry'], type: string): readonly string[] {
  if (serviceLabel(type) === undefined) return [];
  const { members } = registry.discover(type, { limit: lookedAtMax }, { passing: true });
  return serviceAddresses(members, registryLimits.namedPerTypeMax);
}

function namesOf(byType: ReadonlyMap<string, readonly string[]>): readonly NamedAddress[] {
  const byLabel = new Map<string, Set<string>>();
  for (const type of [...byType.keys()].toSorted()) {
    const label = serviceLabel(type) ?? '';
    const all = byLabel.get(label) ?? new Set();
    for (const address of byType.get(type) ?? []) all.add(address);
    byLabel.set(label, all);
  }
  const names = [...byLabel].flatMap(([label, addresses]) =>
    [...addresses].map((address) => ({ label, address })),
  );
  return names.slice(0, registryLimits.namedMax);
}
