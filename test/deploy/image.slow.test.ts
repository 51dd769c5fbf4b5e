import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import type { Stage } from './dockerfile.ts';
import { contextFiles, readDockerfile } from './dockerfile.ts';

/**
 * No container engine runs here. The image's own steps are executed instead: each stage in a root of its own that lies
 * over this machine's (a stand-in for the base image, with Node 24 where the base has it), in namespaces that vanish with
 * the process; then the entry point, as its user, on a root that nobody can write.
 */

const root = path.resolve(import.meta.dirname, '../..');
const docker = path.join(root, 'deploy/docker');
const image = readDockerfile(path.join(docker, 'Dockerfile'));
const box = mkdtempSync(path.join(tmpdir(), 'postern-image-'));
afterAll(() => rmSync(box, { recursive: true, force: true }));

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .trim()
  .split('\n')
  .filter((file) => existsSync(path.join(root, file)));
const context = contextFiles(tracked, path.join(docker, 'Dockerfile.dockerignore'));

const canMount =
  process.getuid?.() === 0 &&
  spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status === 0;

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** The shell lines of one stage: its root, then its steps. */
function stageLines(stage: Stage): string[] {
  const at = `$box/${stage.name}`;
  const lines = [
    `mkdir -p ${at}/upper ${at}/work ${at}/root`,
    `mount -t overlay overlay -o lowerdir=/,upperdir=${at}/upper,workdir=${at}/work ${at}/root`,
    `mount -t proc proc ${at}/root/proc`,
    `mount -t tmpfs tmpfs ${at}/root/tmp`,
    `rm -rf ${at}/root/app ${at}/root/src ${at}/root/out ${at}/root/data`,
    `install -m 0755 "$node" ${at}/root/usr/local/bin/node`,
    'folder=/',
  ];
  for (const step of stage.steps) {
    if (step.kind === 'workdir')
      lines.push(`folder=${quoted(step.folder)}`, `mkdir -p "${at}/root$folder"`);
    else if (step.kind === 'run')
      lines.push(
        `echo "== RUN "${quoted(step.command)}`,
        `chroot ${at}/root sh -c "cd $folder && "${quoted(step.command)} < /dev/null`,
      );
    else if (step.from === undefined)
      lines.push(`tar -C "$source" -cf - -T "$box/context" | tar -C "${at}/root$folder" -xf -`);
    else lines.push(...copyLines(at, step.from, step.args));
  }
  return lines;
}

function copyLines(at: string, from: string, args: readonly string[]): string[] {
  const target = args.at(-1) ?? '/';
  const sources = args.slice(0, -1);
  if (from !== 'tailscale')
    return sources.map((source) => `cp -a $box/${from}/root${source} ${at}/root${target}`);
  return sources.map(
    (source) =>
      `install -m 0755 "$tailscale/${path.basename(source)}" ${at}/root${target} 2>/dev/null || { echo '#!/bin/sh' > ${at}/root${source}; chmod 0755 ${at}/root${source}; }`,
  );
}

function script(): string {
  const environment = Object.entries(image.environment).map(([name, value]) =>
    quoted(`${name}=${value}`),
  );
  const inside = `chroot $box/final/root setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all env -i PATH=/usr/local/bin:/usr/bin:/bin ${environment.join(' ')}`;
  const words = (list: readonly string[]): string => list.map(quoted).join(' ');
  return [
    'set -eu',
    'mount --make-rprivate /',
    'mount -t tmpfs tmpfs $box/layers && mv $box/context.list $box/layers/context && box=$box/layers',
    ...image.stages.filter(({ name }) => name !== 'tailscale').flatMap(stageLines),
    // As it is run: the root read-only, /tmp and the volume writable.
    'mkdir -p $box/data && chown 10001:10001 $box/data && chmod 0700 $box/data',
    'mount --bind $box/data $box/final/root/data',
    'mount -o remount,ro,bind $box/final/root',
    `test ! -e $box/final/root/usr/local/bin/npm && echo no-npm`,
    `test -s $box/final/root/app/sbom.cdx.json && echo has-sbom`,
    `${inside} sh -c 'touch /app/x 2>/dev/null || echo root-is-read-only; touch /data/x && rm /data/x && echo data-is-writable'`,
    `${inside} PORT=18437 ${words(image.entrypoint)} ${words(image.command)} > $box/out 2>&1 & pid=$!`,
    `healthy=no; for _ in $(seq 60); do if ${inside} PORT=18437 ${words(image.healthcheck)}; then healthy=yes; break; fi; sleep 0.25; done`,
    'echo healthy:$healthy',
    'echo uid:$(stat -c %u /proc/$pid 2>/dev/null || stat -c %u $box/final/root/proc/$pid)',
    `echo stranger:$(curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:18437/whoami)`,
    `${inside} ${words(image.entrypoint)} status > $box/status 2>&1 && echo control-socket-answers`,
    'kill -TERM $pid; code=0; wait $pid || code=$?; echo ended:$code',
    `if ${inside} PORT=18437 ${words(image.healthcheck)}; then echo still-healthy; else echo unhealthy-when-down; fi`,
    'test $healthy = yes || { cat $box/out; ls $box/build/root/app $box/final/root/app; }',
  ].join('\n');
}

test('the build gets the sources, and nothing that is secret or made', () => {
  expect(context).toContain('packages/postern/bin/postern.js');
  expect(context).toContain('tools/release.ts');
  expect(
    context.filter((file) => /\.test\.ts$|^test\/|^docs\/|^deploy\/.*secrets|\.env$/u.test(file)),
  ).toEqual([]);
});

test('the image runs as nobody, with a health check, and names its bases by version', () => {
  expect(image.user).toBe('10001:10001');
  expect(image.healthcheck).toHaveLength(2);
  for (const { base } of image.stages) expect(base).toMatch(/:v?\d+\.\d+\.\d+/u);
});

describe.skipIf(!canMount)('the steps of the image, executed', () => {
  test('build it, and its entry point answers as its user on a read-only root', {
    timeout: 400_000,
  }, () => {
    execFileSync('mkdir', ['-p', path.join(box, 'layers')]);
    writeFileSync(path.join(box, 'context.list'), `${context.join('\n')}\n`);
    const file = path.join(box, 'run.sh');
    writeFileSync(file, script());
    const done = spawnSync('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'sh', file], {
      encoding: 'utf8',
      timeout: 380_000,
      env: {
        ...process.env,
        box,
        source: root,
        node: process.execPath,
        tailscale: path.join(homedir(), '.cache/postern-test/tailscale-v1.102.3'),
      },
    });
    const facts = done.stdout.split('\n').filter((line) => /^[a-z-]+(?::\S+)?$/u.test(line));
    expect(facts, done.stdout.slice(-3_000) + done.stderr.slice(-3_000)).toEqual([
      'no-npm',
      'has-sbom',
      'root-is-read-only',
      'data-is-writable',
      'healthy:yes',
      'uid:10001',
      'stranger:401',
      'control-socket-answers',
      'ended:0',
      'unhealthy-when-down',
    ]);
  });
});
