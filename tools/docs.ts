/**
 * Writes the reference pages from the tables that run: errors, configuration, command line, routes. With `--check` it
 * writes nothing and fails where a page on disk is not what the tables say.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { root } from './checks/source-files.ts';
import { pages } from './docs/pages.ts';

const isCheck = process.argv.includes('--check');
let stale = 0;
for (const [file, text] of Object.entries(pages())) {
  const target = path.join(root, file);
  const current = readOr(target);
  if (current === text) continue;
  stale += 1;
  if (isCheck) {
    console.log(`${file} is not what the tables say: run npm run docs`);
  } else {
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, text);
    console.log(`wrote ${file}`);
  }
}
if (stale === 0) console.log('reference pages: up to date');
process.exitCode = isCheck && stale > 0 ? 1 : 0;

function readOr(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
