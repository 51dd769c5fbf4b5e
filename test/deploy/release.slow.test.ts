import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, expect, test } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const box = mkdtempSync(path.join(tmpdir(), 'postern-release-'));
afterAll(() => rmSync(box, { recursive: true, force: true }));

const tarball = 'postern-0.1.0.tgz';

function release(name: string): string {
  const out = path.join(box, name);
  execFileSync(process.execPath, [path.join(root, 'tools/release.ts'), out], { cwd: root });
  return out;
}

function sum(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

test('the same sources give the same tarball, and the checksums are of what is there', () => {
  const first = release('first');
  const second = release('second');
  expect(sum(path.join(first, tarball))).toBe(sum(path.join(second, tarball)));
  const listed = readFileSync(path.join(first, 'SHA256SUMS'), 'utf8').trim().split('\n');
  expect(listed).toHaveLength(2);
  for (const line of listed) {
    const [digest = '', file = ''] = line.split('  ');
    expect(sum(path.join(first, file))).toBe(digest);
  }
});

test('the bill of materials names what is installed and what is in the bundle', () => {
  const text = readFileSync(path.join(box, 'first/postern-0.1.0.cdx.json'), 'utf8');
  const bill = JSON.parse(text) as {
    specVersion: string;
    components: { name: string; version: string; purl: string; scope: string }[];
  };
  expect(bill.specVersion).toBe('1.6');
  const scopes = new Map(bill.components.map(({ name, scope }) => [name, scope]));
  expect(scopes.get('better-sqlite3')).toBe('required');
  expect(scopes.get('zod')).toBe('optional');
  expect(scopes.has('vitest')).toBe(false);
  expect(bill.components.every(({ version, purl }) => version !== '' && purl.includes('@'))).toBe(
    true,
  );
});

test('installs on an empty prefix, starts, answers and stops', { timeout: 120_000 }, async () => {
  const prefix = path.join(box, 'prefix');
  mkdirSync(prefix);
  writeFileSync(path.join(prefix, 'package.json'), '{"name":"empty","private":true}');
  const file = path.join(box, 'first', tarball);
  execFileSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', file], {
    cwd: prefix,
    stdio: 'pipe',
  });
  const bin = path.join(prefix, 'node_modules/postern/bin/postern.js');
  const state = path.join(box, 'state');
  const env = { PATH: process.env['PATH'], POSTERN_STATE: state, PORT: '0', HOME: box };
  const child = spawn(process.execPath, [bin, 'up', '--log', 'json'], { env, cwd: prefix });
  let said = '';
  child.stderr.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  const closed = new Promise<number | null>((resolve) => {
    child.on('exit', resolve);
  });
  try {
    await expect.poll(() => said, { timeout: 30_000 }).toMatch(/gateway +127\.0\.0\.1:\d+/u);
    const ask = [bin, 'ask', '--model', 'builtin/eliza', 'Men are all alike.'];
    expect(execFileSync(process.execPath, ask, { env, encoding: 'utf8' })).toContain('In what way');
    const unit = execFileSync(process.execPath, [bin, 'deploy', 'systemd'], {
      env,
      encoding: 'utf8',
    });
    expect(unit).toContain('NoNewPrivileges=yes');
    const before = path.join(box, 'before.db');
    const gate = [bin, 'upgrade', '--check', '--backup', before, '--json'];
    const looked: unknown = JSON.parse(
      execFileSync(process.execPath, gate, { env, encoding: 'utf8' }),
    );
    expect(looked).toMatchObject({ verdict: 'pass', counts: { fail: 0, unknown: 0 } });
    expect(looked).toHaveProperty('way_back', expect.stringMatching(/^To go back: stop Postern/u));
  } finally {
    child.kill('SIGTERM');
  }
  expect(await closed).toBe(0);
});
