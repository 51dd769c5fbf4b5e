/**
 * Coding agents as people run them, headless, through the gateway. They are large programs of their own: POSTERN_AGENTS
 * names a folder where `npm install @anthropic-ai/claude-code @openai/codex` was run.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import type { Completion, DialectName } from '@postern/core/dialect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeBedrock, region, startFakeBedrock, staticKey } from '../fakes/bedrock.ts';
import { asText, writtenAnswer } from '../fakes/dialect-answer.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';

const agents = process.env['POSTERN_AGENTS'] ?? '';
const claude = path.join(agents, 'node_modules/@anthropic-ai/claude-code-linux-x64/claude');
const codex = path.join(agents, 'node_modules/@openai/codex/bin/codex.js');
const hasClaude = agents !== '' && existsSync(claude);
const hasCodex = agents !== '' && existsSync(codex);
const runMsMax = 60_000;

let upstream: ScriptedUpstream;
let bedrock: FakeBedrock;
let gateway: TestGateway;
let key = '';
let home = '';
const saved = { ...process.env };

beforeAll(async () => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: staticKey.id,
    AWS_SECRET_ACCESS_KEY: staticKey.secret,
  });
  upstream = await startScriptedUpstream();
  bedrock = await startFakeBedrock();
  home = await mkdtemp(path.join(tmpdir(), 'postern-agents-'));
  await mkdir(path.join(home, 'work'));
  gateway = await startGateway({
    config: {
      providers: {
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['claude-x'] },
        chat: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'], api: ['chat'] },
        aws: {
          kind: 'bedrock',
          region,
          endpoint: bedrock.url,
          models: ['anthropic.claude-x-v1:0'],
        },
      },
      prices: { 'aws/**': { input: 1, output: 2 } },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  key = await gateway.key('agent');
});
afterAll(async () => {
  process.env = saved;
  await gateway.stop();
  await upstream.close();
  await bedrock.close();
  await rm(home, { recursive: true, force: true });
});

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: path.join(home, 'work'),
      env: { PATH: saved['PATH'] ?? '', HOME: home, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: runMsMax,
    });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      out += piece;
    });
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      err += piece;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

function script(dialect: DialectName, content: Completion['content']): void {
  const answer = writtenAnswer(
    dialect,
    {
      id: 'up-1',
      model: 'up',
      content,
      stop: content.some(({ kind }) => kind === 'tool-call') ? 'tool-calls' : 'end',
      usage: { input: 9, cacheRead: 0, cacheWrite: 0, cacheWriteHour: 0, output: 4, reasoning: 0 },
    },
    true,
  );
  if (dialect.startsWith('bedrock')) bedrock.expect(answer);
  else upstream.expect(asText(answer));
}

const readFile: Completion['content'] = [
  { kind: 'thinking', text: 'I look.', signature: 'sig+1/A==' },
  { kind: 'tool-call', id: 'toolu_1', name: 'Read', arguments: '{"file_path":"note.txt"}' },
];
const done: Completion['content'] = [{ kind: 'text', text: 'The note says: agent canary.' }];

/** The tools and system prompt of a request: what the provider's cache stands on. */
function cachedPrompt(body: string): string {
  const { tools, system } = JSON.parse(body) as { tools: unknown; system: unknown };
  // The client itself moves its last marker on from turn to turn.
  return JSON.stringify([tools, system], (name, value: unknown) =>
    name === 'cache_control' ? undefined : value,
  );
}

describe.skipIf(!hasClaude)('Claude Code (skipped without POSTERN_AGENTS)', () => {
  const ask = (model: string) =>
    run(claude, ['-p', 'What does note.txt say?', '--model', model, '--allowedTools', 'Read'], {
      ANTHROPIC_BASE_URL: gateway.url,
      ANTHROPIC_AUTH_TOKEN: key,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      ANTHROPIC_SMALL_FAST_MODEL: model,
    });

  test('works over Messages: headers, betas, tools and signatures reach the server unchanged', async () => {
    await writeFile(path.join(home, 'work/note.txt'), 'agent canary\n');
    const before = upstream.received.length;
    script('anthropic-messages', readFile);
    script('anthropic-messages', done);
    const ran = await ask('ant/claude-x');
    expect(ran.out, ran.err).toContain('The note says: agent canary.');
    const [first, second] = upstream.received.slice(before);
    const headers = new Map(first?.headers ?? []);
    expect(headers.get('anthropic-beta')).toMatch(/claude-code-\d+/);
    expect(headers.get('anthropic-version')).toBe('2023-06-01');
    expect(JSON.stringify(first?.headers)).not.toContain(key);
    expect(second?.body).toContain('"signature":"sig+1/A=="');
    expect(second?.body).toContain('agent canary');
    expect(cachedPrompt(second?.body ?? '')).toBe(cachedPrompt(first?.body ?? ''));
    const line = await gateway.logged((each) => each['session'] !== undefined);
    expect(line['session']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('works over Bedrock, with its tools and cache markers', async () => {
    await writeFile(path.join(home, 'work/note.txt'), 'agent canary\n');
    const before = bedrock.calls.length;
    script('bedrock-invoke', readFile);
    script('bedrock-invoke', done);
    const ran = await ask('aws/anthropic.claude-x-v1:0');
    expect(ran.out, ran.err).toContain('The note says: agent canary.');
    const [first, second] = bedrock.calls.slice(before);
    expect(first?.body).toContain('"cache_control"');
    expect(second?.body).toContain('"signature":"sig+1/A=="');
    expect(cachedPrompt(second?.body ?? '')).toBe(cachedPrompt(first?.body ?? ''));
  });
});

test.skipIf(!hasClaude)(
  'Claude Code in its Bedrock mode comes in by the Bedrock routes',
  async () => {
    await writeFile(path.join(home, 'work/note.txt'), 'agent canary\n');
    script('anthropic-messages', readFile);
    script('anthropic-messages', done);
    const args = [
      '-p',
      'What does note.txt say?',
      '--model',
      'ant/claude-x',
      '--allowedTools',
      'Read',
    ];
    const ran = await run(claude, args, {
      CLAUDE_CODE_USE_BEDROCK: '1',
      CLAUDE_CODE_SKIP_BEDROCK_AUTH: '1',
      ANTHROPIC_BEDROCK_BASE_URL: `${gateway.url}/bedrock`,
      AWS_BEARER_TOKEN_BEDROCK: key,
      AWS_REGION: region,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      ANTHROPIC_SMALL_FAST_MODEL: 'ant/claude-x',
      ANTHROPIC_CUSTOM_HEADERS: `Authorization: Bearer ${key}`,
    });
    expect(ran.out, ran.err).toContain('The note says: agent canary.');
  },
);

describe.skipIf(!hasCodex)('Codex (skipped without POSTERN_AGENTS)', () => {
  test('works over Responses with a chat model behind', async () => {
    const folder = path.join(home, '.codex');
    await mkdir(folder, { recursive: true });
    await writeFile(
      path.join(folder, 'config.toml'),
      [
        'model = "chat/up"',
        'model_provider = "postern"',
        '[model_providers.postern]',
        'name = "Postern"',
        `base_url = "${gateway.url}/v1"`,
        'env_key = "POSTERN_KEY"',
        'wire_api = "responses"',
        '',
      ].join('\n'),
    );
    script('openai-chat', done);
    const ran = await run(
      process.execPath,
      [codex, 'exec', '--skip-git-repo-check', '--sandbox', 'read-only', 'What does it say?'],
      { CODEX_HOME: folder, POSTERN_KEY: key },
    );
    expect(ran.out, ran.err).toContain('The note says: agent canary.');
    const sent = JSON.parse(upstream.received.at(-1)?.body ?? '{}') as { tools?: unknown[] };
    expect(sent.tools?.length).toBeGreaterThan(0);
  });
});
