import type { Catalog } from '@postern/core/routing';

/** Is this `provider/model` in the catalogue of now? Names are gathered once for each catalogue. */
export function listedIn(current: () => Catalog): (target: string) => boolean {
  let known: Catalog | undefined;
  let names: ReadonlySet<string> = new Set();
  return (target) => {
    const catalog = current();
    if (catalog !== known) {
      known = catalog;
      names = new Set(
        catalog.providers.flatMap(({ id, models }) => models.map((model) => `${id}/${model.id}`)),
      );
    }
    return names.has(target);
  };
}
