/**
 * Puts back into package-lock.json what npm leaves out: it drops the optional packages of other platforms when it
 * cannot fetch them at the moment of locking, and `npm ci` then refuses the file. Run after every `npm install`.
 * With `--check` it writes nothing and fails where something is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly license?: string;
  readonly engines?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lockfile {
  packages: Record<string, LockedPackage>;
}

const file = path.resolve(import.meta.dirname, '../package-lock.json');
const platform =
  /^(?:cli-|binding-)?(?<os>android|darwin|freebsd|linux|win32|openharmony)-(?<cpu>\w+?)(?:-(?<rest>.*))?$/;

/** Names of optional packages that the lockfile mentions and does not hold, with the entry that each needs. */
export function missingOptional(lock: Lockfile): ReadonlyMap<string, object> {
  const missing = new Map<string, object>();
  for (const parent of Object.values(lock.packages)) {
    for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
      const key = `node_modules/${name}`;
      if (lock.packages[key] === undefined) missing.set(key, entryOf(name, range, parent));
    }
  }
  return missing;
}

function entryOf(name: string, range: string, parent: LockedPackage): object {
  const groups = platform.exec(name.split('/').at(-1) ?? '')?.groups;
  if (groups === undefined) throw new Error(`${name}: its name says no platform; add it by hand`);
  const libc =
    groups['rest']?.includes('musl') === true
      ? ['musl']
      : groups['os'] === 'linux' && groups['rest'] !== undefined
        ? ['glibc']
        : undefined;
  return {
    version: range.replace(/^[\^~]/, ''),
    cpu: [groups['cpu']],
    ...(parent.dev === true ? { dev: true } : {}),
    ...(parent.engines === undefined ? {} : { engines: parent.engines }),
    ...(libc === undefined ? {} : { libc }),
    license: parent.license ?? 'MIT',
    optional: true,
    os: [groups['os']],
  };
}

if (process.argv[1] === import.meta.filename) {
  // npm writes this file; its shape is the one above.
  const lock = JSON.parse(readFileSync(file, 'utf8')) as Lockfile;
  const missing = missingOptional(lock);
  for (const key of missing.keys()) console.log(`missing: ${key}`);
  if (missing.size > 0 && process.argv.includes('--check')) process.exitCode = 1;
  else if (missing.size > 0) {
    const all = { ...lock.packages, ...Object.fromEntries(missing) };
    lock.packages = Object.fromEntries(
      Object.entries(all).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    );
    writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  } else console.log('package-lock.json holds every optional package');
}
