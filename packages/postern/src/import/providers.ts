import type { JsonObject, JsonValue } from '@postern/core/base';
import { freeId, present } from './imported.ts';

/** A provider that an import has found; those that say the same are one. */
export interface FoundProvider {
  readonly kind: 'openai' | 'anthropic' | 'bedrock';
  /** What its id is made from. */
  readonly name: string;
  readonly baseUrl?: string;
  readonly key?: JsonObject;
  readonly region?: string;
  readonly profile?: string;
  readonly more: JsonObject;
}

interface Kept {
  readonly id: string;
  readonly found: FoundProvider;
  readonly models: Set<string>;
}

/** The providers of a configuration that is being made. */
export class Providers {
  readonly #kept = new Map<string, Kept>();

  /** The id of a provider, which from now on serves the model. `*` stands for all that it has. */
  add(found: FoundProvider, model: string): string {
    const same = JSON.stringify([{ ...found, name: '' }]);
    let kept = this.#kept.get(same);
    if (kept === undefined) {
      const ids = new Set([...this.#kept.values()].map(({ id }) => id));
      kept = { id: freeId(found.name, ids), found, models: new Set() };
      this.#kept.set(same, kept);
    }
    kept.models.add(model);
    return kept.id;
  }

  /** As the configuration has them. */
  config(): JsonObject {
    return Object.fromEntries(
      [...this.#kept.values()].map(({ id, found, models }) => {
        const { kind, baseUrl, key, region, profile, more } = found;
        const list: JsonValue = models.has('*') ? ['*'] : [...models];
        return [id, present({ kind, baseUrl, key, region, profile, ...more, models: list })];
      }),
    );
  }
}
