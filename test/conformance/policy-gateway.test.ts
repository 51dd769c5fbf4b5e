/**
 * The policy in charge of a whole Postern, over the wire: what grants decide about requests, and how a policy comes
 * into force, is confirmed, taken back and mended.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JsonValue } from '@postern/core/base';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TestGateway } from './gateway.ts';
import { startGateway, waitFor } from './gateway.ts';

interface Answer {
  readonly status: number;
  // What a test looks at is judged by its expectations.
  readonly json: ReturnType<typeof JSON.parse>;
}

async function call(
  url: string,
  key: string,
  body?: JsonValue,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const answer = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${key}`, ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: await answer.json() };
}

const messages = [{ role: 'user', content: 'hello' }];
const chat = (at: TestGateway, key: string, model: string, more: Record<string, JsonValue> = {}) =>
  call(`${at.url}/v1/chat/completions`, key, { model, messages, ...more });

const config = {
  providers: { 'builtin-too': { kind: 'openai', baseUrl: 'http://127.0.0.1:9/v1', models: ['m'] } },
  aliases: { instant: ['builtin/eliza'], spare: ['builtin/eliza'] },
  identities: {
    map: [
      { key: 'alice', as: ['alice@example.com'] },
      { key: 'ci', as: ['tag:ci'] },
      { key: 'mover', as: ['mover@example.com'] },
      { key: 'admin', as: ['root@example.com'] },
      { key: 'agent', as: ['tag:agent'] },
    ],
  },
  access: [{ who: ['key:other', 'key:admin'], models: ['**'], admin: true }],
};

const head = `"groups": {"group:research": ["alice@example.com"]}, "tagOwners": {"tag:ci": [], "tag:agent": [], "tag:gateway": []},`;
const adminGrant = `{"src": ["root@example.com"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/admin": [{"tools": ["**"]}]}},
  {"src": ["tag:agent"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/admin": [{"tools": ["policy.*"]}]}}`;
const policyWith = (models: string): string => `{
  ${head}
  // Who may call what.
  "grants": [
    {"src": ["group:research"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [
      {"models": ["${models}"], "dialects": ["openai-chat"], "maxOutputTokens": 50}
    ]}},
    {"src": ["mover@example.com"], "dst": ["tag:gateway"], "app": {"tailscale.com/cap/aperture": [
      {"role": "user"}, {"models": "builtin/**"}
    ]}},
    ${adminGrant}
  ]
}
`;

async function show(at: TestGateway): Promise<Answer['json']> {
  return (await at.control('GET', '/api/v1/policy')).body;
}

async function apply(
  at: TestGateway,
  text: string,
  more: Record<string, JsonValue> = {},
): Promise<Answer> {
  const { base } = await show(at);
  const body = { text, base, confirm_within_s: 0, ...more };
  const { status, body: json } = await at.control('POST', '/api/v1/policy/apply', body);
  return { status, json };
}

describe('a policy in force', () => {
  let at: TestGateway;
  let keys: Record<'alice' | 'ci' | 'mover' | 'other' | 'narrow', string>;
  beforeAll(async () => {
    at = await startGateway({ config });
    keys = {
      alice: await at.key('alice'),
      ci: await at.key('ci'),
      mover: await at.key('mover'),
      other: await at.key('other'),
      narrow: await at.key('narrow', { models: ['spare'] }),
    };
  });
  afterAll(() => at.stop());

  test('takes over from the access table whole, for the next request', async () => {
    expect((await chat(at, keys.other, 'instant')).status).toBe(200);
    expect((await chat(at, keys.alice, 'instant')).status).toBe(403);
    expect(await show(at)).toMatchObject({ authority: 'access table', base: 'none' });

    expect((await apply(at, policyWith('instant'))).status).toBe(200);
    expect((await chat(at, keys.alice, 'instant')).status).toBe(200);
    expect((await chat(at, keys.other, 'instant')).status).toBe(403);
    expect((await at.control('GET', '/api/v1/status')).body).toMatchObject({
      authority: 'policy',
      policy_version: 1,
    });
  });

  test('decides models, dialects and output tokens, and names its line in the log', async () => {
    expect((await chat(at, keys.alice, 'instant', { max_tokens: 50 })).status).toBe(200);
    expect((await chat(at, keys.alice, 'instant', { max_tokens: 51 })).status).toBe(400);
    expect((await chat(at, keys.alice, 'spare')).status).toBe(404);
    expect((await chat(at, keys.alice, 'nothing')).status).toBe(404);
    const anthropic = { model: 'instant', max_tokens: 5, messages };
    expect((await call(`${at.url}/v1/messages`, keys.alice, anthropic)).status).toBe(404);
    const line = await at.logged(({ decision }) => String(decision).includes(':/grants/0/'));
    const { body } = await at.control('POST', '/api/v1/policy/explain', {
      decision: String(line['decision']),
    });
    expect(body).toMatchObject({ verdict: 'allowed', rules: [{ line: 6 }] });
  });

  test('shows in the list of models exactly what may be called', async () => {
    const listed = async (key: string): Promise<string[]> => {
      const { json } = await call(`${at.url}/v1/models`, key);
      return json.data.map(({ id }: { id: string }) => id).sort();
    };
    expect(await listed(keys.alice)).toEqual(['instant']);
    expect(await listed(keys.mover)).toEqual(['builtin/eliza']);
    expect(await listed(keys.ci)).toEqual([]);
  });

  test('reads the objects of people who come from Aperture', async () => {
    expect((await chat(at, keys.mover, 'builtin/eliza')).status).toBe(200);
    expect((await chat(at, keys.mover, 'instant')).status).toBe(404);
  });

  test('takes effect for the next request, and a key stays narrower than the policy', async () => {
    expect((await apply(at, policyWith('spare'))).status).toBe(200);
    expect((await chat(at, keys.alice, 'instant')).status).toBe(404);
    expect((await chat(at, keys.alice, 'spare')).status).toBe(200);
    expect((await chat(at, keys.narrow, 'spare')).status).toBe(403);
  });

  test('a candidate that is invalid changes nothing and says where', async () => {
    const before = await show(at);
    const bad = [
      [policyWith('spare').replace('"dialects"', '"dialect"'), 'line 6: .*unknown field'],
      [policyWith('spare').replace('group:research"]', 'group:nobody"]'), 'line 5: .*group:nobody'],
      ['{"groups": {}}', 'neither "acls" nor "grants"'],
      ['', 'empty file'],
      ['{"grants": [', 'line 1'],
      [
        policyWith('spare').replace(
          '"grants"',
          '"tests": [{"src": "tag:ci", "accept": ["tag:gateway:22"]}],\n"grants"',
        ),
        'test\\(s\\) failed',
      ],
    ] as const;
    for (const [text, why] of bad) {
      const { status, json } = await apply(at, text);
      expect([status, json.error.message], text).toEqual([400, expect.stringMatching(why)]);
    }
    expect(await show(at)).toEqual(before);
    expect((await chat(at, keys.alice, 'spare')).status).toBe(200);
  });

  test('is not written over by who read another one', async () => {
    const { base } = await show(at);
    const other = { text: policyWith('instant'), base: 'none', confirm_within_s: 0 };
    const late = await at.control('POST', '/api/v1/policy/apply', other);
    expect(late.status).toBe(409);
    const blind = await at.control('POST', '/api/v1/policy/apply', { text: policyWith('x') });
    expect(blind.status).toBe(400);
    expect((await show(at)).base).toBe(base);
  });

  test('explains its decisions', async () => {
    const explain = async (body: JsonValue) =>
      (await at.control('POST', '/api/v1/policy/explain', body)).body;
    expect(await explain({ key: 'alice', model: 'spare' })).toMatchObject({
      verdict: 'allowed',
      rules: [{ line: 6, text: 'grants[0] (line 6)' }],
      selectors: ['alice@example.com', 'group:research'],
    });
    expect(await explain({ who: ['tag:ci'], model: 'spare' })).toMatchObject({ verdict: 'denied' });
    expect(await explain({ who: ['tag:agent'], operation: 'policy.plan' })).toMatchObject({
      verdict: 'allowed',
    });
    const { status } = await at.control('POST', '/api/v1/policy/explain', { model: 'a', to: 'b' });
    expect(status).toBe(400);
  });

  test('that locks everybody out is mended on the control socket', async () => {
    expect(await apply(at, '{"grants": []}')).toMatchObject({ status: 403 });
    const { base } = await show(at);
    const change = { text: '{"grants": []}', base };
    const planned = (await at.control('POST', '/api/v1/policy/plans', change)).body['plan'];
    // The answer of the operation, whose schema is tested.
    const { id } = planned as { id: string };
    await at.control('POST', `/api/v1/policy/plans/${id}/approve`);
    const applied = { plan: id, confirm_within_s: 0 };
    expect((await at.control('POST', '/api/v1/policy/apply', applied)).status).toBe(200);
    expect((await chat(at, keys.alice, 'spare')).status).toBe(403);
    const ask = { model: 'spare', messages };
    expect((await at.control('POST', '/v1/chat/completions', ask)).status).toBe(200);
    const { version } = await show(at);
    const back = await at.control('POST', '/api/v1/policy/rollback', { expected: version.digest });
    expect(back).toMatchObject({ status: 200, body: { authority: 'policy' } });
    expect((await chat(at, keys.alice, 'spare')).status).toBe(200);
  });
});

describe('a change of high risk', () => {
  let at: TestGateway;
  afterEach(() => at.stop());

  test('waits for the owner of the control socket, and no key can approve it', async () => {
    at = await startGateway({ config });
    const admin = await at.key('admin', { admin: true });
    const api = `http://${at.address('admin')}/api/v1/policy`;
    expect((await apply(at, policyWith('instant'))).status).toBe(200);
    const { base } = await show(at);
    const wide = policyWith('instant').replace('"group:research"], "dst"', '"*"], "dst"');
    const change = { text: wide, base };
    const planned = await call(`${api}/plans`, admin, change);
    expect(planned).toMatchObject({ status: 201, json: { verdict: 'approval', risk: 'high' } });
    const { id } = planned.json.plan;
    const applying = { plan: id, confirm_within_s: 0 };
    expect((await call(`${api}/apply`, admin, applying)).status).toBe(403);
    const byKey = await fetch(`${api}/plans/${id}/approve`, {
      method: 'POST',
      headers: { authorization: `Bearer ${admin}` },
    });
    expect(byKey.status).toBe(403);
    const approved = await at.control('POST', `/api/v1/policy/plans/${id}/approve`);
    expect(approved).toMatchObject({ status: 200, body: { approved_by: expect.any(String) } });
    expect((await call(`${api}/apply`, admin, applying)).status).toBe(200);
    expect((await show(at)).version.digest).toBe(planned.json.digest);
  });

  test('is refused where its author could not mend it any more', async () => {
    at = await startGateway({ config });
    const admin = await at.key('admin', { admin: true });
    const text = policyWith('instant').replace('"root@example.com"', '"boss@example.com"');
    const url = `http://${at.address('admin')}/api/v1/policy/apply`;
    const { status, json } = await call(url, admin, { text, base: 'none' });
    expect([status, json.error.message]).toEqual([
      400,
      expect.stringContaining('not mend this change'),
    ]);
    expect((await show(at)).authority).toBe('access table');
  });
});

describe('a trial', () => {
  const trial = { confirm_within_s: 1 };

  test.concurrent('that nobody confirms is taken back, and one that is confirmed stays', async () => {
    const at = await startGateway({ config });
    try {
      const alice = await at.key('alice');
      const applied = await apply(at, policyWith('instant'), trial);
      expect(applied.json.trial_until).toEqual(expect.any(String));
      expect((await chat(at, alice, 'instant')).status).toBe(200);
      expect((await apply(at, policyWith('spare'))).status).toBe(409);
      await at.logged(({ msg }) => String(msg).startsWith('nobody confirmed'));
      expect((await chat(at, alice, 'instant')).status).toBe(403);
      expect(await show(at)).toMatchObject({ authority: 'access table', trial_until: null });

      const { digest } = (await apply(at, policyWith('instant'), trial)).json.version;
      const confirmed = await at.control('POST', '/api/v1/policy/confirm', { digest });
      expect(confirmed.status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      expect((await chat(at, alice, 'instant')).status).toBe(200);
    } finally {
      await at.stop();
    }
  });

  test.concurrent('goes on over a restart, and is over at once where its time passed in between', async () => {
    const stateDir = await mkdtemp(path.join(tmpdir(), 'postern-policy-'));
    try {
      const first = await startGateway({ config, stateDir });
      const alice = await first.key('alice');
      await apply(first, policyWith('spare'));
      await apply(first, policyWith('instant'), trial);
      await first.stop();

      const second = await startGateway({ config, stateDir });
      expect((await show(second)).trial_until).toEqual(expect.any(String));
      expect((await chat(second, alice, 'instant')).status).toBe(200);
      await waitFor(() => second.log.find(({ msg }) => String(msg).startsWith('nobody confirmed')));
      expect((await chat(second, alice, 'instant')).status).toBe(404);
      expect((await chat(second, alice, 'spare')).status).toBe(200);
      await apply(second, policyWith('instant'), trial);
      await second.stop();

      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const third = await startGateway({ config, stateDir });
      expect((await chat(third, alice, 'instant')).status).toBe(404);
      expect((await chat(third, alice, 'spare')).status).toBe(200);
      await third.stop();
    } finally {
      await rm(stateDir, { recursive: true, force: true });
    }
  });
});

describe('the file beside the configuration', () => {
  async function withFile(
    text: string,
    autoApply: boolean,
    run: (at: TestGateway, file: string) => Promise<void>,
  ): Promise<void> {
    const stateDir = await mkdtemp(path.join(tmpdir(), 'postern-policy-'));
    const file = path.join(stateDir, 'policy.hujson');
    await writeFile(file, text);
    const at = await startGateway({ config: { ...config, policy: { autoApply } }, stateDir });
    try {
      await run(at, file);
    } finally {
      await at.stop();
      await rm(stateDir, { recursive: true, force: true });
    }
  }

  test('is a candidate that decides nothing until it is applied', async () => {
    await withFile(policyWith('instant'), false, async (at, file) => {
      const alice = await at.key('alice');
      expect(await show(at)).toMatchObject({
        authority: 'access table',
        candidate: { file, state: 'differs', auto_apply: false },
      });
      expect((await chat(at, alice, 'instant')).status).toBe(403);
      await apply(at, policyWith('instant'));
      expect((await show(at)).candidate.state).toBe('in_force');
    });
  });

  test('is applied by itself where the configuration says so, also when it changes', async () => {
    await withFile(policyWith('instant'), true, async (at, file) => {
      const alice = await at.key('alice');
      expect((await chat(at, alice, 'instant')).status).toBe(200);
      await writeFile(file, policyWith('spare'));
      await at.logged(({ msg, number }) => msg === 'policy in force' && number === 2);
      expect((await chat(at, alice, 'spare')).status).toBe(200);
      await writeFile(file, '{"grants": [');
      await at.logged(({ problem }) => String(problem).startsWith('the policy file is refused'));
      expect((await chat(at, alice, 'spare')).status).toBe(200);
      const wide = policyWith('spare').replace('"group:research"], "dst"', '"*"], "dst"');
      await writeFile(file, wide);
      const line = await at.logged(({ problem }) => String(problem).includes('postern approve'));
      const id = String(line['problem']).split(' ').at(-1) ?? '';
      await at.control('POST', `/api/v1/policy/plans/${id}/approve`);
      await at.logged(({ msg, number }) => msg === 'policy in force' && number === 3);
    });
  });
});
