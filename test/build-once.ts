import { spawnSync } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';

/** Makes the bundle before any test starts a Postern of its own, so that none of them waits for it. */
export function setup(): void {
  spawnSync(process.execPath, [path.resolve(import.meta.dirname, '../tools/build.js')], {
    stdio: 'inherit',
  });
}
