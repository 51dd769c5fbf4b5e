import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** Folders above this file that are looked at: a bundle lies deeper than a source, a package less deep. */
const levelsMax = 8;

/** A file that ships below `deploy/`: in the checkout beside the packages, in the published package inside it. */
export async function deployFile(...name: readonly string[]): Promise<string> {
  let folder = import.meta.dirname;
  for (let level = 0; level < levelsMax; level += 1) {
    const file = path.join(folder, 'deploy', ...name);
    if (existsSync(file)) return readFile(file, 'utf8');
    folder = path.dirname(folder);
  }
  throw new Error(`The package is not whole: deploy/${name.join('/')} is missing.`);
}
