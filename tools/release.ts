// Makes what is published: a tarball that installs by itself, a list of what is in it (SBOM) and checksums. The same
// sources give the same bytes: a second run on another machine proves that the tarball is of these sources.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
// @ts-expect-error Plain JavaScript, because it also runs before anything is compiled; it has no types.
import { bundleInto as untyped } from './build.js';

const bundleInto: (folder: string) => Promise<boolean> = untyped;
const root = path.resolve(import.meta.dirname, '..');
const out = path.resolve(process.argv[2] ?? path.join(root, 'dist'));

interface Manifest {
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly engines: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
}

// Files of this repository: their shape is held by npm and by the tests of the release.
function manifestOf(name: string): Manifest {
  const file = path.join(root, 'packages', name, 'package.json');
  return JSON.parse(readFileSync(file, 'utf8')) as Manifest;
}

function lockedPackages(): Readonly<Record<string, Locked>> {
  const text = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
  return (JSON.parse(text) as { packages: Record<string, Locked> }).packages;
}

const manifest = manifestOf('postern');
const versions: Readonly<Record<string, string>> = Object.assign(
  {},
  ...['core', 'server', 'postern'].map((name) => manifestOf(name).dependencies ?? {}),
);

/** What the bundle imports by name and therefore brings as a dependency. */
function importedBy(folder: string): string[] {
  const found = new Set<string>();
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.js'))) {
    const text = readFileSync(path.join(folder, file), 'utf8');
    for (const [, name] of text.matchAll(
      /(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*["']([@a-z][\w./@-]*)["']/gu,
    )) {
      const parts = (name ?? '').split('/');
      const packageName = name?.startsWith('@') === true ? parts.slice(0, 2).join('/') : parts[0];
      if (packageName !== undefined && packageName in versions) found.add(packageName);
    }
  }
  return [...found].toSorted();
}

/** The packages of a closure of dependencies, from the lockfile, each once. */
function closure(names: readonly string[]): Map<string, Locked> {
  const packages = lockedPackages();
  const found = new Map<string, Locked>();
  const visit = (name: string, from: string): void => {
    for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
      const place = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`;
      const locked = packages[place];
      if (locked !== undefined) {
        if (found.has(place)) return;
        found.set(place, locked);
        for (const each of Object.keys(locked.dependencies ?? {})) visit(each, place);
        return;
      }
      if (at === '') return;
    }
  };
  for (const name of names) {
    const own = Object.keys(packages).find(
      (place) =>
        /^packages\/[a-z]+\/node_modules\//u.test(place) && place.endsWith(`node_modules/${name}`),
    );
    visit(name, own === undefined ? '' : own.slice(0, own.indexOf('/node_modules/')));
  }
  return found;
}

/** CycloneDX 1.6: what is in the bundle, and what is installed beside it. */
function bill(direct: readonly string[]): unknown {
  const bundled = Object.keys(versions).filter((name) => !name.startsWith('@postern/'));
  const installed = new Set(closure(direct).keys());
  const components = [...closure(bundled)]
    .map(([place, locked]) => {
      const name = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
      const version = locked.version ?? '';
      const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
      const [algorithm, content] = (locked.integrity ?? '').split('-', 2);
      return {
        type: 'library',
        'bom-ref': `${purl}#${place}`,
        name,
        version,
        purl,
        scope: installed.has(place) ? 'required' : 'optional',
        ...(algorithm === 'sha512' && content !== undefined
          ? {
              hashes: [{ alg: 'SHA-512', content: Buffer.from(content, 'base64').toString('hex') }],
            }
          : {}),
        ...(locked.license === undefined ? {} : { licenses: [{ expression: locked.license }] }),
      };
    })
    .toSorted((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'application',
        name: 'postern',
        version: manifest.version,
        licenses: [{ license: { id: manifest.license } }],
      },
    },
    components,
  };
}

async function main(): Promise<void> {
  const stage = path.join(out, 'package');
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  if (!(await bundleInto(path.join(stage, 'dist'))))
    throw new Error('The bundler is missing: run npm ci first.');
  const direct = importedBy(path.join(stage, 'dist'));
  for (const [from, to] of [
    ['packages/postern/bin', 'bin'],
    ['deploy', 'deploy'],
    ['README.md', 'README.md'],
    ['CHANGELOG.md', 'CHANGELOG.md'],
    ['LICENSE', 'LICENSE'],
    ['SECURITY.md', 'SECURITY.md'],
  ] as const)
    cpSync(path.join(root, from), path.join(stage, to), { recursive: true });
  const published = {
    name: 'postern',
    version: manifest.version,
    description: manifest.description,
    license: manifest.license,
    type: 'module',
    bin: manifest.bin,
    engines: manifest.engines,
    dependencies: Object.fromEntries(direct.map((name) => [name, versions[name]])),
  };
  writeFileSync(path.join(stage, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  const sbom = `${JSON.stringify(bill(direct), null, 2)}\n`;
  writeFileSync(path.join(stage, 'sbom.cdx.json'), sbom);
  const packed = execFileSync('npm', ['pack', '--silent', '--pack-destination', out], {
    cwd: stage,
    encoding: 'utf8',
  }).trim();
  const sbomName = packed.replace(/\.tgz$/u, '.cdx.json');
  writeFileSync(path.join(out, sbomName), sbom);
  const sums = [packed, sbomName].map(
    (file) =>
      `${createHash('sha256')
        .update(readFileSync(path.join(out, file)))
        .digest('hex')}  ${file}\n`,
  );
  writeFileSync(path.join(out, 'SHA256SUMS'), sums.join(''));
  rmSync(stage, { recursive: true, force: true });
  process.stdout.write(sums.join(''));
}

await main();
