/** The commands about the policy: on files without any Postern, and against a whole one. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { startGateway } from '../conformance/gateway.ts';
import { cli, newFolder } from './process.ts';

const good = `{
  // Who works on what.
  "groups": {"group:research": ["alice@example.com"]},
  "tagOwners": {"tag:gateway": [], "tag:ci": []},
  "tests": [{"src": "alice@example.com", "accept": ["tag:gateway:80"], "deny": ["tag:ci:22"]}],
  "grants": [
    {"src": ["group:research"], "dst": ["tag:gateway"], "ip": ["tcp:80"], "app": {"postern.dev/cap/ai": [{"models": ["instant"]}]}},
  ],
}
`;

let folder = '';
beforeEach(async () => {
  folder = await newFolder();
});

async function file(name: string, text: string): Promise<string> {
  const where = path.join(folder, name);
  await writeFile(where, text);
  return where;
}

describe('on files', () => {
  test('check says where and ends with 0, 1 for failed tests, 4 for an invalid file', async () => {
    const valid = await cli(['policy', 'check', await file('p', good)]);
    expect(valid).toMatchObject({ code: 0, out: expect.stringContaining('1 of 1 tests hold') });
    const failing = await cli(['policy', 'check', await file('p', good.replace(':80"]', ':81"]'))]);
    expect(failing).toMatchObject({ code: 1, out: expect.stringContaining('p:5:13: error: test') });
    const where = await file('p', good.replace('"models"', '"model"'));
    const invalid = await cli(['policy', 'check', where]);
    expect(invalid.code).toBe(4);
    expect(invalid.out).toContain(
      `${where}:7:106: error: postern.dev/cap/ai: unknown field "model"`,
    );
    const json = await cli(['policy', 'check', where, '--json']);
    expect(JSON.parse(json.out)).toMatchObject({ valid: false, findings: [{ line: 7 }] });
    expect((await cli(['policy', 'check', path.join(folder, 'none')])).code).toBe(4);
    expect((await cli(['policy', 'check', where, '--for', 'ipsec'])).code).toBe(2);
  });

  test('check reads the file beside the configuration, or standard input', async () => {
    const where = await file('policy.hujson', good);
    const found = await cli(['policy', 'check'], { stateDir: folder });
    expect(found).toMatchObject({ code: 0, out: expect.stringContaining(where) });
    const piped = await cli(['policy', 'check', '-'], { input: good });
    expect(piped).toMatchObject({ code: 0, out: expect.stringContaining('standard input') });
  });

  test('test runs the tests', async () => {
    const passed = await cli(['policy', 'test', await file('p', good)]);
    expect(passed).toMatchObject({ code: 0, out: expect.stringMatching(/pass +network +alice/) });
    const failed = await cli([
      'policy',
      'test',
      await file('p', good.replace(':22"]', ':80"]').replace('tag:ci:80', 'tag:gateway:80')),
    ]);
    expect(failed).toMatchObject({ code: 1, out: expect.stringMatching(/FAIL .*want: Drop/) });
  });

  test('fmt keeps comments, says whether it would change anything, and writes once', async () => {
    const where = await file('p', good);
    expect((await cli(['policy', 'fmt', where, '--check'])).code).toBe(1);
    expect((await cli(['policy', 'fmt', where])).out).toContain('// Who works on what.');
    expect(await readFile(where, 'utf8')).toBe(good);
    expect((await cli(['policy', 'fmt', where, '--write'])).code).toBe(0);
    expect((await cli(['policy', 'fmt', where, '--check'])).code).toBe(0);
    expect((await cli(['policy', 'fmt', await file('p', '{"a": }')])).err).toMatch(
      /p:1:\d+: error/,
    );
  });

  test('diff says who gains and loses what, and tells CI with its exit code', async () => {
    const before = await file('before', good);
    const after = await file('after', good.replace('tcp:80"', 'tcp:80", "tcp:443"'));
    const words = ['policy', 'diff', after, '--before', before];
    const changed = await cli([...words, '--exit-code']);
    expect(changed).toMatchObject({
      code: 1,
      out: expect.stringMatching(/gains +a device of alice@example.com +tcp:443/),
    });
    expect((await cli(words)).code).toBe(0);
    const same = await cli(['policy', 'diff', before, '--before', before, '--exit-code']);
    expect(same).toMatchObject({ code: 0, out: 'Nobody gains or loses access.\n' });
  });

  test('explain and reach answer about a file', async () => {
    const where = await file('p', good);
    const ask = (...words: string[]) => cli(['policy', 'explain', ...words, '--file', where]);
    const alice = await ask('--who', 'alice@example.com', '--model', 'instant');
    expect(alice).toMatchObject({ code: 0, out: expect.stringContaining('grants[0] (line 7)') });
    expect((await ask('--who', 'tag:ci', '--model', 'instant')).code).toBe(1);
    const packet = await ask('--from', 'alice@example.com', '--to', 'tag:gateway', '--port', '80');
    expect(packet).toMatchObject({ code: 0, out: expect.stringContaining('allowed') });
    expect((await ask()).code).toBe(2);
    const reached = await cli(['policy', 'reach', '--file', where]);
    expect(reached.out).toMatch(/alice@example.com +a device with tag:gateway +tcp:80/);
  });
});

test('against a Postern: plan, approve, apply, confirm, show, roll back', async () => {
  const at = await startGateway({ stateDir: folder });
  const run = (...words: string[]) => cli(words, { stateDir: folder });
  try {
    const where = await file('policy.hujson', good);
    expect((await run('policy', 'show')).out).toMatch(
      /decides +the built-in policy[\s\S]*not in force/,
    );
    expect((await run('policy', 'show', '--text')).out).toContain('tag:local');
    expect(await run('policy', 'plan')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/may be applied \(risk medium\)[\s\S]*apply --plan plan_/),
    });
    expect((await run('policy', 'apply', '--confirm', 'soon')).code).toBe(2);
    expect((await run('policy', 'apply', '--confirm', '1m')).out).toContain('On trial until');
    expect((await run('policy', 'confirm')).out).toContain('Confirmed: version 1');
    expect((await run('policy', 'confirm')).code).toBe(1);
    expect((await run('policy', 'show', '--text')).out).toBe(good);
    expect((await run('status')).out).toContain('decided by: policy version 1');

    await writeFile(where, good.replace('["group:research"], "dst"', '["*"], "dst"'));
    expect(await run('policy', 'apply')).toMatchObject({
      code: 1,
      err: expect.stringContaining('high risk'),
    });
    const planned = JSON.parse((await run('policy', 'plan', '--json')).out);
    expect(planned).toMatchObject({ verdict: 'approval' });
    expect((await run('approve', planned.plan.id)).out).toContain('is approved (risk high)');
    const applied = await run('policy', 'apply', '--plan', planned.plan.id, '--confirm', '0');
    expect(applied.out).toContain('In force: version 2');
    expect((await run('policy', 'rollback')).out).toContain('In force again: version 1');
    expect((await run('policy', 'diff', '--exit-code')).code).toBe(1);

    await writeFile(where, good.replace('"models"', '"model"'));
    expect((await run('policy', 'plan')).code).toBe(4);
    expect(await run('policy', 'apply')).toMatchObject({
      code: 4,
      err: expect.stringContaining('policy.hujson:7:106: error'),
    });
    expect(
      (await run('policy', 'explain', '--who', 'alice@example.com', '--model', 'instant')).code,
    ).toBe(0);
    expect((await run('policy', 'reach')).out).toContain('tcp:80');
    expect((await run('policy', 'rollback')).out).toContain('decided by the built-in policy');
  } finally {
    await at.stop();
  }
});
