/** Prints every import that a layer may not have, every loop of files and every untidy place; exits 1 where there is one. */
import process from 'node:process';
import { circles } from './checks/circles.ts';
import { layerViolations } from './checks/layers.ts';
import { sourceFiles } from './checks/source-files.ts';
import { tidyFindings } from './checks/tidy.ts';

const files = sourceFiles('.ts');
const found = [
  ...layerViolations(files).map(
    ({ file, imported, why }) => `${file}: may not import ${imported}: ${why}`,
  ),
  ...circles(files).map((loop) => `import each other in a loop: ${loop.join(', ')}`),
  ...tidyFindings(files),
];
for (const line of found) console.log(line);
console.log(
  found.length === 0
    ? `layers and tidiness: ${files.length} files, nothing found`
    : `${found.length} findings`,
);
process.exitCode = found.length === 0 ? 0 : 1;
