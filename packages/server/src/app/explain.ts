import type { JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { LoadedConfig } from './config-file.ts';
import type { Settings } from './settings.ts';

/** One value that is in force, and who says so. */
export interface ExplainedValue {
  /** `limits.bodyBytes` */
  readonly name: string;
  readonly value: JsonValue;
  /** `postern.hujson:12`, `PORT`, or `default`. */
  readonly from: string;
}

/** Every value of the configuration as it counts, with its origin: file and line, variable, flag, or default. */
export function explainConfig(
  config: Config,
  loaded: LoadedConfig | undefined,
  settings: Settings,
): readonly ExplainedValue[] {
  const rows: ExplainedValue[] = [];
  collect(toJson(config), '', (pointer, value) => {
    rows.push({
      name: pointer.slice(1).replaceAll('/', '.'),
      value,
      from: originOf(pointer, loaded),
    });
  });
  const overridden = Object.entries(settings.addresses).map(([name, { text, from }]) => ({
    name: `listeners.${name}.address`,
    value: text,
    from,
  }));
  const names = new Set(overridden.map(({ name }) => name));
  return [...rows.filter(({ name }) => !names.has(name)), ...overridden].toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
}

function toJson(config: Config): JsonValue {
  // A parsed configuration holds nothing but JSON; the round trip drops the keys that are undefined.
  return JSON.parse(JSON.stringify(config)) as JsonValue;
}

function collect(
  value: JsonValue,
  pointer: string,
  take: (pointer: string, value: JsonValue) => void,
): void {
  if (!isJsonObject(value)) return take(pointer, value);
  const entries = Object.entries(value);
  if (entries.length === 0 && pointer !== '') take(pointer, value);
  for (const [name, inner] of entries)
    collect(inner, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, take);
}

function originOf(pointer: string, loaded: LoadedConfig | undefined): string {
  const position = loaded?.document.positionOf(pointer);
  return loaded === undefined || position === undefined
    ? 'default'
    : `${loaded.file}:${position.line}`;
}
