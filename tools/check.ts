/** Lint, format, types and layers at once: what must hold before every commit. Under a minute on two cores. */
import { spawn } from 'node:child_process';
import process from 'node:process';

const steps: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['format', 'biome', 'format', '.'],
  ['types (core)', 'tsc', '-p', 'packages/core'],
  ['types', 'tsc', '-p', '.'],
  ['layers', 'node', 'tools/layers.ts'],
  ['lockfile', 'node', 'tools/lockfile.ts', '--check'],
];

function run(name: string, command: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const started = performance.now();
    const output: Buffer[] = [];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (piece: Buffer) => output.push(piece));
    child.stderr.on('data', (piece: Buffer) => output.push(piece));
    child.on('close', (code) => {
      const seconds = ((performance.now() - started) / 1_000).toFixed(1);
      console.log(`${code === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
      if (code !== 0) console.log(Buffer.concat(output).toString('utf8'));
      resolve(code === 0);
    });
  });
}

const results: boolean[] = [];
for (const [name, command, ...args] of steps) results.push(await run(name, command, args));
process.exitCode = results.every(Boolean) ? 0 : 1;
