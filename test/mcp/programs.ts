/**
 * Programs of others that judge our server: pinned, installed by npm into a cache outside the tree when they are first
 * needed. Where they cannot be had, the suites that need them say so and are skipped.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const installMsMax = 300_000;

export const judges = {
  conformance: { name: '@modelcontextprotocol/conformance', version: '0.2.0-alpha.12' },
  inspector: { name: '@modelcontextprotocol/inspector', version: '2.12.0' },
} as const;

const bins = { conformance: 'conformance', inspector: 'mcp-inspector' } as const;

export type Judge =
  | { readonly found: true; readonly bin: string }
  | { readonly found: false; readonly why: string };

export async function judge(which: keyof typeof judges): Promise<Judge> {
  const { name, version } = judges[which];
  const cache = path.join(
    process.env['POSTERN_TEST_CACHE'] ?? path.join(homedir(), '.cache', 'postern-test'),
    'npm',
  );
  const folder = path.join(cache, `${name.replace(/^@/, '').replace('/', '-')}-${version}`);
  const bin = path.join(folder, 'node_modules', '.bin', bins[which]);
  if (existsSync(bin)) return { found: true, bin };
  try {
    await mkdir(cache, { recursive: true });
    const fresh = await mkdtemp(path.join(cache, 'new-'));
    await writeFile(path.join(fresh, 'package.json'), '{"private": true}');
    const words = ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@${version}`];
    await run('npm', words, { cwd: fresh, timeout: installMsMax });
    await rm(folder, { recursive: true, force: true });
    await rename(fresh, folder);
    return { found: true, bin };
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    return { found: false, why: `${name}@${version} cannot be installed: ${why}` };
  }
}
