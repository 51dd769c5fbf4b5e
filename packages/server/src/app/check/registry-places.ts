import type { Config } from '@postern/core/contract';
import type { Snapshot } from '@postern/core/state';
import { rosterOf } from '@postern/core/state';

/** Where providers that follow the registry are now. */
export function placesOfRegistry(
  { providers }: Config,
  { registry }: Snapshot,
): readonly { readonly provider: string; readonly url: URL }[] {
  return Object.entries(providers).flatMap(([provider, each]) => {
    if (!('discover' in each) || each.discover === undefined) return [];
    const { nodeType, port, scheme } = each.discover;
    return rosterOf(registry, nodeType).flatMap((instance) => {
      const [address] = instance.addresses;
      if (address === undefined) return [];
      const host = address.includes(':') ? `[${address}]` : address;
      return [{ provider, url: new URL(`${scheme}://${host}:${instance.port ?? port}`) }];
    });
  });
}
