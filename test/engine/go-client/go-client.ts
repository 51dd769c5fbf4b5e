import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The public Go client of the API v2, by the name of its module. */
const client = { module: 'tailscale.com/client/tailscale/v2', version: 'v2.9.0', go: '1.25.0' };
const buildMsMax = 15 * 60_000;

export interface Step {
  readonly step: string;
  readonly pass: boolean;
  readonly why?: string;
}

export type GoClient =
  | { readonly found: true; readonly program: string }
  | { readonly found: false; readonly why: string };

/** Builds it outside the tree, once for each text and version. */
export async function goClient(): Promise<GoClient> {
  const source = path.join(import.meta.dirname, 'main.go');
  const digest = createHash('sha256')
    .update(await readFile(source))
    .digest('hex');
  const cache = process.env['POSTERN_TEST_CACHE'] ?? path.join(homedir(), '.cache/postern-test');
  const program = path.join(cache, `go-client-${client.version}-${digest.slice(0, 12)}`);
  if (existsSync(program)) return { found: true, program };
  const work = await mkdtemp(path.join(tmpdir(), 'postern-go-client-'));
  try {
    await copyFile(source, path.join(work, 'main.go'));
    const lines = ['module test.invalid/client', `go ${client.go}`];
    lines.push(`require ${client.module} ${client.version}`, '');
    await writeFile(path.join(work, 'go.mod'), lines.join('\n\n'));
    const out = path.join(work, 'client');
    await run('go', ['build', '-buildvcs=false', '-trimpath', '-o', out, '.'], {
      cwd: work,
      env: { ...process.env, GOFLAGS: '-mod=mod', CGO_ENABLED: '0' },
      timeout: buildMsMax,
    });
    await mkdir(cache, { recursive: true });
    await rename(out, program).catch(() => copyFile(out, program));
    return { found: true, program };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return { found: false, why: `cannot be built: ${said.trim().split('\n').at(-1)}` };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** What each of its steps found. */
export async function drive(
  program: string,
  { url, key, settings }: { url: string; key: string; settings: 'writable' | 'fixed' },
): Promise<readonly Step[]> {
  const { stdout } = await run(program, [url, key, settings], { timeout: 60_000 }).catch(
    (error: unknown) => {
      if (error instanceof Error && 'stdout' in error && typeof error.stdout === 'string') {
        return { stdout: error.stdout };
      }
      throw error;
    },
  );
  // Each line is one step, as the program writes it.
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Step);
}
