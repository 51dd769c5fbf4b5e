import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createIo } from '../../packages/postern/src/output/io.ts';
import { parseWhen } from '../../packages/postern/src/output/when.ts';
import type { TestGateway } from '../conformance/gateway.ts';
import { everyKey, granting, keysAsTags, startGateway } from '../conformance/gateway.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { dataFrames, sse, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { cli, newFolder, spawnPostern } from './process.ts';

/** Clears a screen, colours it, turns the direction of text, ends a line, and an old terminal's C1 form of escape. */
const hostile = 'evil\u001b[2J\u001b]0;x\u0007\u009b31m\u202e\u2066\n\u2028end';
const raw = /(?![\n\t\u200d])[\p{Cc}\p{Cf}\u2028]/u;

let upstream: ScriptedUpstream;
let gate: TestGateway;
beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gate = await startGateway({
    config: {
      providers: { m: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['a', hostile] } },
      identities: { map: [...keysAsTags().map, { local: true, as: ['tag:key'] }] },
      trustLoopback: true,
    },
    policy: everyKey,
  });
});
afterAll(async () => {
  await gate.stop();
  await upstream.close();
});

const run = (...words: string[]) => cli(words, { stateDir: gate.stateDir });
const json = async (...words: string[]): Promise<unknown> => {
  const { code, out, err } = await run(...words, '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out.endsWith('\n')).toBe(true);
  expect(out.trimEnd()).not.toContain('\n');
  return JSON.parse(out);
};

describe('the command line itself', () => {
  test('has this help', async () => {
    const { code, out, err } = await cli(['--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const commands = out.slice(out.indexOf('Commands:'));
    expect(commands.match(/^ {2}[a-z]+/gm)?.map((line) => line.trim())).toEqual(
      expect.arrayContaining([
        'up',
        'init',
        'status',
        'doctor',
        'ask',
        'models',
        'key',
        'config',
        'backup',
        'restore',
        'help',
      ]),
    );
    expect(out.slice(0, out.indexOf('Commands:'))).toBe(`Usage: postern [options] [command]

The private gate to a team's AI.

Options:
  --json                    print one JSON value instead of a table
  --state <folder>          state folder (default: $POSTERN_STATE, else the XDG
                            state folder)
  --config <file>           configuration file (default: <state>/postern.hujson,
                            else /etc/postern/postern.hujson)
  --version                 print the version
  -h, --help                display help for command

`);
  });

  test.each([
    [['frob'], "error: unknown command 'frob'"],
    [['ask', '--frob'], "error: unknown option '--frob'"],
    [['key', 'create'], "error: missing required argument 'name'"],
    [['status', `x${hostile}`], 'error: too many arguments'],
  ])('of %j is wrong and ends with 2', async (words, said) => {
    const { code, err, out } = await cli(words);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(said);
    expect(err).not.toMatch(raw);
  });

  test('knows its version', async () => {
    expect(await cli(['--version'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  test.each([
    ['status'],
    ['models'],
    ['ask', 'x'],
    ['key', 'list'],
    ['key', 'create', 'x'],
    ['key', 'revoke', 'x'],
    ['config', 'reload'],
    ['backup', '/nonexistent/x'],
  ])('without a running Postern ends with 3 and the next command: %s %s', async (...words) => {
    const { code, out, err } = await cli(words, { stateDir: await newFolder() });
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(err).toMatch(
      /^No Postern runs with this state folder \(.+\)\. Start it with `postern up`, or name its folder with --state\.\n$/,
    );
  });
});

describe('key', () => {
  test('create shows the key once on stdout and the rest on stderr; list shows all but the secret; revoke ends it', async () => {
    const made = await run(
      'key',
      'create',
      'ci',
      '--models',
      'm/a, builtin/**',
      '--expires',
      '30d',
      '--bind',
      'tag:ci',
    );
    expect(made.code).toBe(0);
    expect(made.out).toMatch(/^pst_\S+\n$/);
    expect(made.err).toContain('only time');
    const [key] = (await json('key', 'list')) as Record<string, unknown>[];
    expect(key).toMatchObject({
      name: 'ci',
      standing: 'active',
      scope: { models: ['m/a', 'builtin/**'] },
      bound_to: ['tag:ci'],
    });
    const ends = Date.parse(String(key?.['expires_at']));
    expect(Math.abs(ends - Date.now() - 30 * 86_400_000)).toBeLessThan(60_000);
    const table = await run('key', 'list');
    expect(table.out).toMatch(/^NAME +ID +KEY +MODELS +MADE +ENDS +STATE\nci /);
    expect(table.out).not.toContain(made.out.trim());
    expect(await run('key', 'create', 'ci')).toMatchObject({ code: 1, out: '' });
    expect(await run('key', 'revoke', 'ci', '--reason', 'test')).toEqual({
      code: 0,
      out: 'Revoked: ci. It is refused from now on.\n',
      err: '',
    });
    expect(await run('key', 'revoke', 'ci')).toMatchObject({ code: 1, out: '' });
    expect((await run('key', 'list')).out).toBe(
      'There are no keys. Make one: postern key create NAME\n',
    );
    expect(await json('key', 'list', '--all')).toMatchObject([
      { name: 'ci', standing: 'revoked', revoked_reason: 'test' },
    ]);
  });

  test('create --json is the key and its secret', async () => {
    expect(await json('key', 'create', 'shape')).toEqual({
      key: expect.objectContaining({ name: 'shape' }),
      secret: expect.stringMatching(/^pst_/),
    });
  });

  test('of hostile text never reaches the terminal raw', async () => {
    for (const words of [
      ['key', 'create', hostile],
      ['key', 'revoke', hostile],
      ['key', 'list', '--all'],
      ['key', 'list', '--all', '--json'],
      ['ask', 'x', '--model', hostile],
    ]) {
      const { out, err } = await run(...words);
      expect(out + err, words.join(' ')).not.toMatch(raw);
    }
  });

  const now = Date.parse('2026-01-01T00:00:00Z');
  test.each([
    ['90s', now + 90_000],
    ['12h', now + 43_200_000],
    ['2w', now + 1_209_600_000],
    ['2026-01-02T00:00:00Z', now + 86_400_000],
    ['2026-01-02T02:00:00.5+02:00', now + 86_400_500],
  ])('takes %s as an end', (text, ms) => {
    expect(parseWhen(text, now)).toEqual({ ok: true, value: ms });
  });
  test.each([
    '',
    '0d',
    '12',
    '1y',
    '-1d',
    '1.5h',
    '2025-12-31T00:00:00Z',
    '2027-01-01T00:00:00',
    '2027-02-30T00:00:00Z',
    '2027-01-01',
    'tomorrow',
    '999999w',
    '9999-01-01T00:00:00Z',
    '2027-01-01T25:00:00Z',
  ])('refuses %j as an end', async (text) => {
    expect(parseWhen(text, now).ok).toBe(false);
  });
  test('says which flag is wrong, with 2', async () => {
    const { code, err } = await run('key', 'create', 'x', '--expires', '1y');
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringMatching(/^--expires: "1y" is neither a time to live/),
    });
  });
});

describe('models and status', () => {
  test('models lists what may be called, hostile names as text', async () => {
    const { code, out } = await run('models');
    expect(code).toBe(0);
    expect(out).toMatch(/^MODEL +PROVIDER +STATE\n/);
    expect(out).toContain('m/evil\\u001b[2J');
    expect(out).not.toMatch(raw);
    const listed = await run('models', '--json');
    expect(listed.out).not.toMatch(raw);
    // The same value, written in a way that no terminal obeys.
    expect(JSON.parse(listed.out)).toContainEqual(expect.objectContaining({ id: `m/${hostile}` }));
  });

  test('status shows the process, its listeners, providers and state', async () => {
    const { code, out } = await run('status');
    expect(code).toBe(0);
    expect(out).toMatch(/^Postern test on Node v\d+\.\d+\.\d+, started \d+ seconds ago, ready\n/);
    expect(out).toContain(`configuration  ${gate.stateDir}/postern.hujson (generation 1)`);
    expect(out).toMatch(/\ngateway +127\.0\.0\.1:\d+ +\d+\n/);
    const value = await json('status');
    expect(value).toMatchObject({
      runtime: {
        ready: true,
        version: 'test',
        default_model: expect.any(String),
        listeners: expect.any(Array),
      },
      state: { store: 'good', config_generation: 1 },
    });
  });
});

describe('ask', () => {
  const delta = (content: string) =>
    dataFrames({ id: '1', choices: [{ index: 0, delta: { content } }] });
  const end = dataFrames(
    { id: '1', choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
    '[DONE]',
  );

  test('prints the answer as it comes', async () => {
    expect(await run('ask', 'Men are all alike.', '--model', 'builtin/eliza')).toEqual({
      code: 0,
      out: 'In what way?\n',
      err: '',
    });
  });

  test('takes its question from standard input', async () => {
    const asked = await cli(['ask', '--model', 'builtin/eliza'], {
      stateDir: gate.stateDir,
      input: 'Men are all alike.\n',
    });
    expect(asked).toMatchObject({ code: 0, out: 'In what way?\n' });
    const nothing = await cli(['ask'], { stateDir: gate.stateDir, input: ' \n' });
    expect(nothing).toMatchObject({ code: 2, out: '' });
    expect(nothing.err).toContain('There is no question');
  });

  test('--json is the whole answer', async () => {
    expect(await json('ask', 'Men are all alike.', '--model', 'builtin/eliza')).toMatchObject({
      model: expect.any(String),
      answer: 'In what way?',
      usage: expect.any(Object),
      request_id: expect.any(String),
    });
  });

  test('ends with 1 where the stream breaks off, after what came', async () => {
    upstream.expect({ headers: sse, pieces: [delta('half an ans'), 'cut'] });
    const { code, out, err } = await run('ask', 'x', '--model', 'm/a');
    expect({ code, out }).toEqual({ code: 1, out: 'half an ans\n' });
    expect(err).toMatch(/^The answer broke off: /);
  });

  test('ends with 1 where the model is refused', async () => {
    const { code, out, err } = await run('ask', 'x', '--model', 'm/none');
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('There is no model "m/none" that you may use.');
  });

  test('keeps an answer raw for a pipe, and from steering a terminal', async () => {
    const answer = `a\tb\n👩\u200d🚀 ${hostile}`;
    upstream.expect(
      { headers: sse, pieces: [delta(answer), end] },
      { headers: sse, pieces: [delta(answer), end] },
    );
    expect((await run('ask', 'x', '--model', 'm/a')).out).toBe(`${answer}\n`);
    const words = ['ask', 'x', '--model', 'm/a'];
    const shown = await cli(words, { stateDir: gate.stateDir, isTerminal: true });
    expect(shown.out).toContain('a\tb\n👩\u200d🚀 evil\\u001b[2J');
    expect(shown.out).not.toMatch(raw);
  });
});

test('JSON for terminals is the same value', () => {
  let out = '';
  const io = createIo(
    {
      writeOut: (text) => (out += text),
      writeErr: () => undefined,
      readInput: () => Promise.resolve(undefined),
      isTerminal: true,
      isInteractive: false,
      env: {},
    },
    { json: true },
  );
  const value = { [hostile]: `${hostile}\u{e0001}\u007f` };
  io.outJson(value);
  expect(out).not.toMatch(raw);
  expect(out).not.toContain('\u{e0001}');
  expect(JSON.parse(out)).toEqual(value);
});

describe('backup and restore', () => {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  test('a backup verifies, restores into an empty folder, and starts again with its keys', async () => {
    const secret = (await run('key', 'create', 'kept')).out.trim();
    const folder = await newFolder();
    const file = path.join(folder, 'copy.postern-backup');
    const made = await run('backup', file);
    expect(made).toMatchObject({ code: 0, err: '' });
    expect(made.out).toMatch(/: \d+ records, SHA-256 [0-9a-f]{64}\n.*\.audit: /);
    expect((await stat(file)).mode & 0o077).toBe(0);
    expect(await run('backup', file)).toEqual({
      code: 1,
      out: '',
      err: `${file} is there already; name a file that does not exist.\n`,
    });
    expect(await cli(['restore', file, '--verify-only'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/ is whole: \d+ records/),
    });
    const verified = await cli(['restore', file, '--verify-only', '--json']);
    expect(JSON.parse(verified.out)).toMatchObject({
      manifest: { records: expect.any(Number) },
      report: { intact: true },
    });
    const occupied = await run('restore', file);
    expect(occupied).toMatchObject({ code: 1, out: '' });
    const stateDir = path.join(folder, 'state');
    const restored = await cli(['restore', file, '--state', stateDir]);
    expect(restored).toMatchObject({ code: 0, err: '' });
    expect(restored.out).toContain(`Start it: postern up --state ${stateDir}`);
    const again = await startGateway({ stateDir });
    stops.push(() => again.stop());
    const answer = await fetch(`${again.url}/v1/models`, {
      headers: { authorization: `Bearer ${secret}` },
    });
    expect(answer.status).toBe(200);
  });

  test('a backup with a flipped byte is found', async () => {
    const file = path.join(await newFolder(), 'copy');
    await run('backup', file);
    const bytes = await readFile(file);
    const at = Math.floor(bytes.length / 2);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    await writeFile(file, bytes);
    const { code, out, err } = await cli(['restore', file, '--verify-only']);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).not.toBe('');
    const missing = await cli(['restore', '/nonexistent/file', '--verify-only']);
    expect(missing).toMatchObject({ code: 1, out: '' });
  });
});

describe('init and config schema', () => {
  test('init --yes writes a file that is valid and closed to others, and never over another one', async () => {
    const state = await newFolder();
    const file = path.join(state, 'postern.hujson');
    const policy = path.join(state, 'policy.hujson');
    const env = { POSTERN_STATE: state, OPENAI_API_KEY: 'sk-secret' };
    expect(await cli(['init', '--yes'], { env })).toMatchObject({
      code: 0,
      out: `${file} and ${policy} are written. Read them, then: postern up\n`,
    });
    const text = await readFile(file, 'utf8');
    expect(text).toContain('"key":{"env":"OPENAI_API_KEY"}');
    expect(text).not.toContain('sk-secret');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(policy)).mode & 0o777).toBe(0o600);
    expect(await cli(['config', 'check'], { env })).toMatchObject({ code: 0 });
    expect(await cli(['policy', 'check'], { env })).toMatchObject({ code: 0 });
    await appendFile(file, '// mine\n');
    expect(await cli(['init', '--yes'], { env })).toEqual({
      code: 1,
      out: '',
      err: `${file} is there already; --force replaces it.\n`,
    });
    expect(await readFile(file, 'utf8')).toContain('// mine');
    const forced = await cli(['init', '--yes', '--force', '--json'], { env });
    expect(forced).toMatchObject({ code: 0, out: `{"file":"${file}","policy":"${policy}"}\n` });
  });

  test.each([
    ['dev', /^a device of alice@example\.com\s+Gateway\s+80\s/m],
    ['staging-home', /^\s*Internet\s+Gateway\s+443\s/m],
    ['staging-cloud', /^\s*Load Balancer\s+Gateway\s+8000\s/m],
    ['production', /^\s*Load Balancer\s+Gateway\s+8000\s/m],
  ] as const)(
    'init --env %s writes files whose plan lacks nothing',
    async (name, row) => {
      const state = await newFolder();
      const env = {
        POSTERN_STATE: state,
        POSTERN_POSTGRES_URL: 'postgres://p:q@10.0.4.10/postern',
      };
      expect(await cli(['init', '--env', name], { env })).toMatchObject({ code: 0, err: '' });
      expect(await cli(['config', 'check'], { env })).toMatchObject({ code: 0, err: '' });
      expect(await cli(['policy', 'check'], { env })).toMatchObject({ code: 0, err: '' });
      const plan = await cli(['network', 'plan', '--env', name], { env });
      expect(plan).toMatchObject({ code: 0, err: '' });
      expect(plan.out).toMatch(row);
      for (const gpu of ['Instant GPU', 'Thinking GPU']) {
        expect(plan.out).toMatch(new RegExp(`^\\s*Gateway\\s+${gpu}\\s+8080\\s`, 'm'));
      }
      const hasDatabase = /PostgreSQL\s+5432/.test(plan.out);
      expect(hasDatabase).toBe(name === 'production' || name === 'staging-cloud');
      const isPublic = plan.out.includes('Internet');
      expect(isPublic).toBe(name !== 'dev');
      expect(plan.out).toMatch(/Anything else\s+\*\s+\*\s+Deny/);
      // Nothing is written over.
      expect(await cli(['init', '--env', name], { env })).toMatchObject({ code: 1 });
    },
    30_000,
  );

  test('init --env takes no other names', async () => {
    const env = { POSTERN_STATE: await newFolder() };
    expect(await cli(['init', '--env', 'moon'], { env })).toEqual({
      code: 2,
      out: '',
      err: '--env takes dev, staging-home, staging-cloud, production.\n',
    });
  });

  test('a start right after init serves who ran it, by the policy that was written', async () => {
    const state = await newFolder();
    await cli(['init', '--yes'], { stateDir: state });
    const started = await startGateway({ stateDir: state });
    try {
      await started.logged(
        ({ msg }) => msg === 'policy in force: the first one, applied at the start',
      );
      const asked = await cli(['ask', 'hello', '--model', 'builtin/eliza'], { stateDir: state });
      expect(asked).toMatchObject({ code: 0 });
      const key = await started.key('stranger');
      const refused = await fetch(`${started.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: '{"model":"builtin/eliza","messages":[{"role":"user","content":"x"}]}',
      });
      expect(refused.status).toBe(403);
      expect((await cli(['status'], { stateDir: state })).out).toContain(
        'decided by: policy version 1',
      );
    } finally {
      await started.stop();
    }
  });

  test('policy check looks the names of budgets up in the configuration', async () => {
    const state = await newFolder();
    const config = path.join(state, 'postern.hujson');
    const policy = path.join(state, 'policy.hujson');
    await writeFile(policy, granting({ 'tag:a': { models: ['**'], budgets: ['lab'] } }));
    const check = () => cli(['policy', 'check', policy], { env: { POSTERN_STATE: state } });
    expect(await check()).toMatchObject({ code: 0 });
    await writeFile(config, '{"budgets": {"lab": {"usd": "1.50", "every": "day"}}}');
    expect(await check()).toMatchObject({ code: 0 });
    await writeFile(config, '{"budgets": {"research": {"usd": 1, "every": "day"}}}');
    expect(await check()).toMatchObject({
      code: 4,
      out: expect.stringContaining('the configuration defines no budget "lab"'),
    });
  });

  test('config schema is a JSON Schema', async () => {
    const { code, out } = await cli(['config', 'schema']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      type: 'object',
      properties: { providers: expect.anything() },
    });
  });
});

describe('doctor', () => {
  interface Finding {
    readonly id: string;
    readonly verdict: string;
    readonly what: string;
    readonly next?: string;
    readonly evidence: readonly string[];
  }
  const diagnosed = async (env: Record<string, string>) => {
    const { code, out } = await cli(['doctor', '--json'], { env });
    // The report has these members.
    const { findings } = JSON.parse(out) as { findings: readonly Finding[] };
    const of = (id: string): Finding | undefined => findings.find((each) => each.id === id);
    return { code, findings, of };
  };

  test('finds nothing wrong on a bare machine, and makes no folder', async () => {
    const state = path.join(await newFolder(), 'none');
    const { findings, of } = await diagnosed({ POSTERN_STATE: state });
    expect(of('state-folder')?.verdict).toBe('note');
    expect(of('configuration')?.verdict).toBe('note');
    expect(of('version')?.verdict).toBe('note');
    expect(of('providers')?.evidence.join()).toContain('builtin');
    const own = findings.filter(({ id }) => !id.startsWith('network-'));
    expect(own.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
    await expect(stat(state)).rejects.toThrow('ENOENT');
  });

  test('finds an open folder, a bad file and a provider that does not answer, each with what to do', async () => {
    const state = path.join(await newFolder(), 'open');
    await mkdir(state, { mode: 0o755 });
    const open = await diagnosed({
      POSTERN_STATE: state,
      PROVIDER_BASE_URL: 'http://127.0.0.1:1/v1',
    });
    expect(open.code).toBe(1);
    expect(open.of('state-folder')).toMatchObject({
      verdict: 'fail',
      what: `${state} is open to other users (mode 755).`,
      next: `chmod 700 ${state}`,
    });
    expect(open.of('providers')).toMatchObject({ verdict: 'fail', what: 'No answer of upstream.' });
    await writeFile(path.join(state, 'postern.hujson'), '{"frob": 1}');
    const { code, out } = await cli(['doctor'], { env: { POSTERN_STATE: state } });
    expect(code).toBe(1);
    expect(out).toMatch(/\nconfiguration +fail +.*postern\.hujson:1:10: \/frob/);
    expect(out).toContain('next: Correct the file');
  });

  test('finds what containers get wrong: keys, health, agents, app ids', async () => {
    const state = path.join(await newFolder(), 'container');
    const { of } = await diagnosed({
      POSTERN_STATE: state,
      TS_AUTHKEY: 'not-a-key',
      TS_LOCAL_ADDR_PORT: '[::]:1',
      VPC_ALLOWED_APPS: `${'a'.repeat(40)},0xabc`,
    });
    expect(of('auth-key')).toMatchObject({ verdict: 'fail' });
    expect(of('container-health')).toMatchObject({
      verdict: 'fail',
      what: 'Its health check is off.',
    });
    expect(of('app-id')?.evidence).toEqual(['VPC_ALLOWED_APPS: 0xabc']);
    const folder = await newFolder();
    const config = path.join(folder, 'mesh.hujson');
    await writeFile(
      config,
      JSON.stringify({ mesh: { identity: { agent: path.join(folder, 'none.sock') } } }),
    );
    const meshed = await diagnosed({ POSTERN_STATE: state, POSTERN_CONFIG: config });
    expect(meshed.of('agent-socket')).toMatchObject({ verdict: 'fail' });
  });

  test('looks at the certificate of a peer: its evidence and its issuer', async () => {
    const folder = await newFolder();
    const made = (name: string): void => {
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-days',
          '9',
          '-subj',
          `/CN=${name}`,
          '-keyout',
          path.join(folder, `${name}.key`),
          '-out',
          path.join(folder, `${name}.pem`),
        ],
        { stdio: 'ignore' },
      );
    };
    made('peer');
    made('other');
    const config = path.join(folder, 'mesh.hujson');
    const look = async (roots: string): Promise<readonly string[]> => {
      const mesh = {
        identity: { agent: path.join(folder, 'none.sock') },
        trust: { kmsRootsFile: path.join(folder, roots) },
      };
      await writeFile(config, JSON.stringify({ mesh }));
      const { out } = await cli(
        ['doctor', '--json', '--peer-certificate', path.join(folder, 'peer.pem')],
        { env: { POSTERN_STATE: path.join(folder, 's'), POSTERN_CONFIG: config } },
      );
      // As above.
      const { findings } = JSON.parse(out) as { findings: readonly Finding[] };
      return findings
        .filter(({ id }) => id === 'ra-tls' || id === 'ca-match')
        .map(({ id, verdict }) => `${id}: ${verdict}`);
    };
    expect(await look('peer.pem')).toEqual(['ra-tls: fail', 'ca-match: pass']);
    expect(await look('other.pem')).toEqual(['ra-tls: fail', 'ca-match: fail']);
  });
});

test('the whole program: exit codes reach the shell, and stdout holds the answer alone', async () => {
  const state = gate.stateDir;
  const asked = await spawnPostern(['ask', 'Men are all alike.', '--model', 'builtin/eliza'], {
    POSTERN_STATE: state,
  }).ended;
  expect(asked).toEqual({ code: 0, out: 'In what way?\n', err: '' });
  const none = await spawnPostern(['status'], { POSTERN_STATE: await newFolder() }).ended;
  expect(none).toMatchObject({ code: 3, out: '' });
});
