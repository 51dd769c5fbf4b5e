import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { everyKey } from '../conformance/gateway.ts';
import { newFolder, until, up } from './process.ts';

/** Does this machine have a local operator at all? In a container it has none, which is right. */
const machine = await (async () => {
  const gate = await up();
  const answer = await gate.get('/v1/models');
  const said = await answer.text();
  gate.child.kill('SIGKILL');
  return { believes: answer.status === 200, said };
})();

interface Answer {
  readonly status: number;
  readonly message: string;
}

/** `fetch` sets Host and Origin by itself; here they are what the test says. */
function call(port: number, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.get(
      { host: '127.0.0.1', port, path: '/v1/models', headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        response.on('end', () => {
          // Refusals have the OpenAI envelope.
          const body = JSON.parse(text) as { error?: { message?: string } };
          resolve({ status: response.statusCode ?? 0, message: body.error?.message ?? '' });
        });
      },
    );
    request.on('error', reject);
  });
}

describe.skipIf(!machine.believes)('the local operator', () => {
  test('is who calls from loopback as the same user, for models and nothing else', async () => {
    const gate = await up();
    expect(await call(gate.port, {})).toMatchObject({ status: 200 });
    expect(await call(gate.port, { authorization: 'Bearer sk-anything' })).toMatchObject({
      status: 200,
    });
    expect(await call(gate.port, { authorization: 'Bearer pst_wrong' })).toMatchObject({
      status: 401,
    });
    expect((await gate.get('/api/v1/keys')).status).toBe(404);
  });

  test('is nobody behind a proxy', async () => {
    const gate = await up();
    const traces = {
      Forwarded: 'for=1.2.3.4',
      'X-Forwarded-For': '127.0.0.1',
      'X-Forwarded-Proto': 'https',
      'X-Real-IP': '127.0.0.1',
      Via: '1.1 proxy',
      'Tailscale-User-Login': 'alice@example.com',
    };
    for (const [name, value] of Object.entries(traces)) {
      const answer = await call(gate.port, { [name]: value });
      expect(answer.status, name).toBe(401);
      expect(answer.message, name).toContain('postern key create');
    }
  });

  test('is nobody in a container, by what its manager and containerboot set', async () => {
    const variables = {
      container: 'podman',
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
      TS_USERSPACE: 'true',
      TS_AUTHKEY: '',
    };
    const tried = Object.entries(variables).map(async ([name, value]) => {
      const gate = await up({ env: { [name]: value } });
      const answer = await call(gate.port, {});
      expect(answer.status, name).toBe(401);
      expect(answer.message).toContain(name);
    });
    await Promise.all(tried);
  });

  test('is nobody where there is a configuration file, unless it says trustLoopback', async () => {
    const stateDir = await newFolder();
    const file = path.join(stateDir, 'postern.hujson');
    const identities = { map: [{ local: true, as: ['tag:key'] }] };
    await writeFile(file, JSON.stringify({ identities }));
    await writeFile(path.join(stateDir, 'policy.hujson'), everyKey);
    const gate = await up({ stateDir });
    const answer = await call(gate.port, {});
    expect(answer.status).toBe(401);
    expect(answer.message).toContain('"trustLoopback": true');
    const trusting = await newFolder();
    await writeFile(
      path.join(trusting, 'postern.hujson'),
      JSON.stringify({ trustLoopback: true, identities }),
    );
    await writeFile(path.join(trusting, 'policy.hujson'), everyKey);
    const second = await up({ stateDir: trusting });
    expect(await call(second.port, {})).toMatchObject({ status: 200 });
    // The other conditions hold on.
    expect(await call(second.port, { via: '1.1 x' })).toMatchObject({ status: 401 });
  });

  test('is believed with flags and variables, which are no configuration file', async () => {
    const gate = await up({
      words: ['--port', '0', '--log-level', 'debug'],
      env: { PROVIDER_BASE_URL: 'http://127.0.0.1:1/v1' },
    });
    expect(await call(gate.port, {})).toMatchObject({ status: 200 });
  });
});

const isRoot = process.getuid?.() === 0;
const curl = '/usr/bin/curl';
const canBeStranger =
  isRoot &&
  spawnSync('setpriv', ['--reuid=12345', '--regid=12345', '--clear-groups', curl, '-V']).status ===
    0;

test.skipIf(!machine.believes || !canBeStranger)(
  'another user of this machine is nobody (needs root, setpriv and curl)',
  async () => {
    const gate = await up();
    const answer = spawnSync(
      'setpriv',
      [
        '--reuid=12345',
        '--regid=12345',
        '--clear-groups',
        curl,
        '-s',
        '-w',
        '\n%{http_code}',
        `${gate.url}/v1/models`,
      ],
      { encoding: 'utf8' },
    );
    expect(answer.stdout).toMatch(/uid 12345[\s\S]*\n401$/);
  },
);

test('what a web page could send is refused before anybody is identified, with a line in the log', async () => {
  const gate = await up();
  const requests = [
    [{ host: 'evil.example' }, 'host_not_allowed'],
    [{ host: '192.0.2.1:8080' }, 'host_not_allowed'],
    [{ origin: 'https://evil.example' }, 'origin_not_allowed'],
    [{ origin: 'null' }, 'origin_not_allowed'],
    [{ 'sec-fetch-site': 'cross-site' }, 'origin_not_allowed'],
  ] as const;
  for (const [headers] of requests) {
    expect(await call(gate.port, headers)).toMatchObject({ status: 403 });
  }
  const lines = (): readonly Record<string, unknown>[] =>
    gate.log().filter(({ msg }) => msg === 'request');
  await until(() => lines().length === requests.length);
  expect(lines().map(({ error }) => error)).toEqual(requests.map(([, code]) => code));
  expect(lines()[0]).toEqual({
    level: 'info',
    ts: expect.any(String),
    request_id: expect.any(String),
    listener: 'gateway',
    method: 'GET',
    path: '/v1/models',
    status: 403,
    outcome: 'refused',
    client: '127.0.0.1',
    error: 'host_not_allowed',
    msg: 'request',
  });
});
