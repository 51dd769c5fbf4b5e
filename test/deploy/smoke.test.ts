import { execFile } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { everyKey, keysAsTags, startGateway } from '../conformance/gateway.ts';

/** The checks that people type after a deployment, run against a gateway with its own model behind their model's name. */

const folder = path.resolve(import.meta.dirname, '../../deploy/smoke');
let gateway: TestGateway;
let token: string;

beforeAll(async () => {
  gateway = await startGateway({
    config: {
      providers: { builtin: { kind: 'builtin' } },
      aliases: { 'gpt-4o-mini': ['builtin/eliza'] },
      defaultModel: 'gpt-4o-mini',
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  token = await gateway.key('smoke');
});
afterAll(() => gateway.stop());

async function smoke(
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<{ code: number; out: string }> {
  const run = promisify(execFile);
  const options = { env: { PATH: process.env['PATH'], ...env }, timeout: 60_000 };
  try {
    const { stdout } = await run('sh', [path.join(folder, script)], options);
    return { code: 0, out: stdout };
  } catch (cause) {
    const failed = cause as { code?: number; stderr?: string };
    return { code: failed.code ?? -1, out: failed.stderr ?? '' };
  }
}

test('the private gateway answers /health, /whoami and /ask, and nobody without identity', async () => {
  expect(await smoke('private-gateway.sh', { BASE: gateway.url, TOKEN: token })).toEqual({
    code: 0,
    out: 'smoke: the private gateway answers\n',
  });
});

test('the proxy answers /healthz, /v1/completions with input, models and chat', async () => {
  expect(await smoke('api-proxy.sh', { BASE: gateway.url, TOKEN: token })).toEqual({
    code: 0,
    out: 'smoke: the proxy answers\n',
  });
});

test('a gateway that refuses the token fails the check and says where', async () => {
  const { code, out } = await smoke('api-proxy.sh', { BASE: gateway.url, TOKEN: 'pst_wrong' });
  expect(code).toBe(1);
  expect(out).toMatch(/^smoke: \/v1\/completions: .*invalid/u);
});
