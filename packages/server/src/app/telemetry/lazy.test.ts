import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';

const start = path.resolve(import.meta.dirname, '../start.ts');

/** Every file of this package that is loaded with the first, and every package named on the way. */
function loadedWith(first: string): {
  readonly files: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
} {
  const files = new Set<string>();
  const packages = new Set<string>();
  const open = [first];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file) || !existsSync(file)) continue;
    files.add(file);
    const source = readFileSync(file, 'utf8');
    // Types are gone when it runs, and `import(…)` loads when it is reached.
    for (const [, name = ''] of source.matchAll(
      /^(?:import|export)(?! type)[^;']*?(?:from )?'([^']+)';/gm,
    )) {
      if (name.startsWith('.')) open.push(path.resolve(path.dirname(file), name));
      else packages.add(name);
    }
  }
  return { files, packages };
}

test('a start loads the counts and nothing else of telemetry', () => {
  const { files, packages } = loadedWith(start);
  const own = [...files].map((file) =>
    path.relative(path.resolve(import.meta.dirname, '../..'), file),
  );
  expect(own).toContain('observe/metrics/request-counts.ts');
  expect(own).toContain('app/planes.ts');
  expect(
    own.filter((file) => /^(?:observe\/(?:trace|genai)|adapters\/telemetry-http)/.test(file)),
  ).toEqual([]);
  expect(own.filter((file) => file.startsWith('app/telemetry/')).toSorted()).toEqual([
    'app/telemetry/listed.ts',
    'app/telemetry/metrics-route.ts',
    'app/telemetry/telemetry.ts',
  ]);
  expect([...packages].filter((name) => /^(?:prom-client|@opentelemetry)/.test(name))).toEqual([]);
});
