/**
 * The real programs that prove interoperability: pinned, built with Go into a cache outside the tree. A test that
 * needs one asks for it and is skipped, with the reason in its name, where Go is missing.
 *
 * `node test/tailnet/programs.ts` builds all of them and prints how long each took.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A module at one version, and the commands of it that tests start. */
interface Source {
  readonly module: string;
  readonly version: string;
  /** The Go release that the module's own go.mod asks for. */
  readonly go: string;
  readonly commands: readonly string[];
}

const tailscaleCommands = ['cmd/tailscale', 'cmd/tailscaled'] as const;

/** Current clients, clients of about a year ago, and the control server that ours is measured against. */
export const sources = {
  tailscale: {
    module: 'tailscale.com',
    version: 'v1.102.3',
    go: '1.26.6',
    commands: tailscaleCommands,
  },
  tailscaleYearOld: {
    module: 'tailscale.com',
    version: 'v1.90.9',
    go: '1.25.3',
    commands: tailscaleCommands,
  },
  /** The oldest that we serve. */
  tailscaleOldest: {
    module: 'tailscale.com',
    version: 'v1.80.3',
    go: '1.23.1',
    commands: tailscaleCommands,
  },
  /** An authority for certificates, as public ones are. */
  pebble: {
    module: 'github.com/letsencrypt/pebble/v2',
    version: 'v2.7.0',
    go: '1.23.0',
    commands: ['cmd/pebble'],
  },
  headscale: {
    module: 'github.com/juanfont/headscale',
    version: 'v0.29.2',
    go: '1.26.4',
    commands: ['cmd/headscale'],
  },
  /** Renders the chart of `deploy/helm`. */
  helm: {
    module: 'helm.sh/helm/v3',
    version: 'v3.19.2',
    go: '1.24.0',
    commands: ['cmd/helm'],
  },
} as const satisfies Record<string, Source>;

export type ProgramSet = keyof typeof sources;

export type Found =
  | { readonly found: true; readonly folder: string; readonly version: string }
  | { readonly found: false; readonly why: string };

/** A cold build takes minutes on two cores; a test run must not hang for ever on a broken network. */
const buildMsMax = 40 * 60_000;
const outputBytesMax = 4 * 1024 * 1024;

function cacheFolder(): string {
  return process.env['POSTERN_TEST_CACHE'] ?? path.join(homedir(), '.cache', 'postern-test');
}

/** The folder with the commands of one pinned module, built first if need be. */
export async function programs(name: ProgramSet): Promise<Found> {
  const source: Source = sources[name];
  // The last part that is no major version: `helm` of `helm.sh/helm/v3`.
  const parts = source.module.split('/').filter((part) => !/^v\d+$/u.test(part));
  const base = parts.at(-1)?.replace('.com', '') ?? name;
  const folder = path.join(cacheFolder(), `${base}-${source.version}`);
  const complete = (): boolean =>
    source.commands.every((command) => existsSync(path.join(folder, path.basename(command))));
  if (complete()) return { found: true, folder, version: source.version };
  const why = await missingGo();
  if (why !== undefined) return { found: false, why };
  const unlock = await lock(`${folder}.lock`);
  try {
    if (!complete()) await build(source, folder);
    return { found: true, folder, version: source.version };
  } catch (error) {
    return { found: false, why: `cannot build ${source.module}@${source.version}: ${said(error)}` };
  } finally {
    await unlock();
  }
}

/** The last line of what a failed command said, or the error's own text. */
function said(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : '';
  return text.trim().split('\n').at(-1) || error.message;
}

async function missingGo(): Promise<string | undefined> {
  try {
    await run('go', ['version'], { timeout: 30_000 });
    return undefined;
  } catch {
    return 'Go is not installed';
  }
}

/**
 * Builds in a module of its own that requires the pinned version: the checksums are verified as for any dependency,
 * and, unlike `go install MODULE@VERSION`, a proxy that does not list versions is no obstacle.
 */
async function build(source: Source, folder: string): Promise<void> {
  const work = await mkdtemp(path.join(tmpdir(), 'postern-build-'));
  try {
    const lines = ['module test.invalid/build', `go ${source.go}`];
    lines.push(`require ${source.module} ${source.version}`, '');
    await writeFile(path.join(work, 'go.mod'), lines.join('\n\n'));
    const out = path.join(work, 'bin');
    await mkdir(out);
    const packages = source.commands.map((command) => `${source.module}/${command}`);
    const flags = ['-buildvcs=false', '-trimpath', '-ldflags=-s -w', '-o', `${out}/`];
    await run('nice', ['go', 'build', ...flags, ...packages], {
      cwd: work,
      env: { ...process.env, GOFLAGS: '-mod=mod', CGO_ENABLED: '0' },
      timeout: buildMsMax,
      maxBuffer: outputBytesMax,
    });
    await mkdir(path.dirname(folder), { recursive: true });
    await rm(folder, { recursive: true, force: true });
    await rename(out, folder).catch(() => run('cp', ['-r', out, folder]));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Waits until no other process builds into the same place; a lock whose owner is dead is taken over. */
async function lock(folder: string): Promise<() => Promise<void>> {
  const owner = path.join(folder, 'pid');
  await mkdir(path.dirname(folder), { recursive: true });
  for (let waitedMs = 0; waitedMs < buildMsMax; waitedMs += 500) {
    try {
      await mkdir(folder);
      await writeFile(owner, String(process.pid));
      return () => rm(folder, { recursive: true, force: true });
    } catch {
      const pid = Number(await readFile(owner, 'utf8').catch(() => '0'));
      if (pid > 0 && !isAlive(pid)) await rm(folder, { recursive: true, force: true });
    }
    await sleep(500);
  }
  throw new Error(`another process still builds: ${folder}`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const names = [
    'tailscale',
    'tailscaleYearOld',
    'tailscaleOldest',
    'headscale',
    'pebble',
  ] as const;
  for (const name of names) {
    const start = performance.now();
    const got = await programs(name);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stdout.write(`${name}: ${got.found ? got.folder : got.why} (${seconds} s)\n`);
    if (!got.found) process.exitCode = 1;
  }
}
