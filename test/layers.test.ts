import { expect, test } from 'vitest';
import { circles } from '../tools/checks/circles.ts';
import { layers, layerViolations } from '../tools/checks/layers.ts';
import { importsOf, sourceFiles } from '../tools/checks/source-files.ts';
import { tidyFindings } from '../tools/checks/tidy.ts';

const files = sourceFiles('.ts');

test('no folder imports what its layer may not', () => {
  expect(layerViolations(files)).toEqual([]);
});

test('no file imports one that imports it, by however many steps', () => {
  expect(circles(files)).toEqual([]);
  const loop = ['a', 'b', 'c'].map((name, i) => ({
    path: `packages/core/src/x/${name}.ts`,
    text: `import type {\n  X,\n} from './${['b', 'c', 'a'][i]}.ts';\nconst y = await import('./a.ts');\n`,
  }));
  expect(circles(loop)).toEqual([loop.map(({ path }) => path)]);
  expect(circles(loop.slice(1))).toEqual([]);
});

test('the code is tidy', () => {
  expect(tidyFindings(files)).toEqual([]);
});

test('every layer says why it may not import more, and imports only what stands before it', () => {
  layers.forEach(({ folder, may, why }, index) => {
    expect(why.length, folder).toBeGreaterThan(20);
    const before = new Set(layers.slice(0, index).map((layer) => layer.folder));
    for (const each of may) expect(before.has(each), `${folder} -> ${each}`).toBe(true);
  });
});

test('the test itself sees a forbidden import in every spelling', () => {
  const bad = [
    "import { x } from 'node:fs';",
    "import type { X } from '../../../server/src/gateway/index.ts';",
    "export * from '@postern/server/http';",
    "import {\n  a,\n  b,\n} from 'undici';",
    "const y = await import('node:net');",
  ];
  for (const text of bad) {
    expect(layerViolations([{ path: 'packages/core/src/dialect/x.ts', text }]), text).toHaveLength(
      1,
    );
  }
  expect(importsOf('import \'a\';\nexport { b } from "b";')).toEqual(['a', 'b']);
  expect(
    layerViolations([
      {
        path: 'packages/server/src/gateway/x.ts',
        text: "import { c } from '../control/index.ts';",
      },
    ]),
  ).toHaveLength(1);
  expect(
    layerViolations([
      { path: 'packages/server/src/adapters/a/x.ts', text: "import { c } from '../b/index.ts';" },
    ]),
  ).toHaveLength(1);
});
