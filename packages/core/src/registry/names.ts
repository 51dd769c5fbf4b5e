import type { Instance } from './instance.ts';

/** What a type is called in names of the network: labels in lower case; undefined where it cannot be one. */
export function serviceLabel(nodeType: string): string | undefined {
  const labels = nodeType.toLowerCase().split('.');
  const isName = labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/.test(label));
  return isName ? labels.join('.') : undefined;
}

/**
 * Where the members of a type are, for the answer to its name: of each the first address of each family. Whoever has
 * been there for longest stands first: clients of Tailscale answer with that one, which so changes as rarely as can be.
 */
export function serviceAddresses(members: readonly Instance[], max: number): readonly string[] {
  const inOrder = members.toSorted(
    (a, b) => a.registeredAtMs - b.registeredAtMs || (a.uuid < b.uuid ? -1 : 1),
  );
  const found = inOrder.slice(0, max).flatMap(({ addresses }) => {
    const v6 = addresses.find((address) => address.includes(':'));
    const v4 = addresses.find((address) => !address.includes(':'));
    return [v4, v6].filter((address) => address !== undefined);
  });
  return [...new Set(found)];
}
