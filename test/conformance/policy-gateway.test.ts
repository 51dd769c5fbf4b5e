/**
 * The policy in charge of a whole Postern, over the wire: what grants decide about requests, and how a policy comes
 * into force, is confirmed, taken back and mended.
 */
import http from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JsonValue } from '@postern/core/base';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { TestGateway } from './gateway.ts';
import { granting, startGateway, waitFor } from './gateway.ts';

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

/** Like `call`, over a connection that the test chooses. */
function send(url: string, key: string, body: JsonValue, agent?: http.Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}` };
    const request = http.request(
      url,
      { method: 'POST', headers, agent: agent ?? false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) }),
        );
      },
    );
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
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
      { local: true, as: ['boss@example.com'] },
    ],
  },
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

  test('is all that decides: before one is applied nobody may call anything, and is told so', async () => {
    for (const key of [keys.alice, keys.other]) {
      const refused = await chat(at, key, 'instant');
      expect([refused.status, refused.json.error.message]).toEqual([
        403,
        expect.stringMatching(/No policy is in force here.*policy\.hujson.*postern policy apply/),
      ]);
      const { json } = await call(`${at.url}/v1/models`, key);
      expect(json.data).toEqual([]);
    }
    const ask = { model: 'instant', messages };
    expect((await at.control('POST', '/v1/chat/completions', ask)).status).toBe(403);
    expect(await show(at)).toMatchObject({ authority: 'none', base: 'none', text: null });
    const line = await at.logged(({ decision }) => decision === 'none:deny/ai/no_policy');
    expect(line).toMatchObject({ error: 'access_denied' });

    expect((await apply(at, policyWith('instant'))).status).toBe(200);
    expect((await chat(at, keys.alice, 'instant')).status).toBe(200);
    const nobody = await chat(at, keys.other, 'instant');
    expect([nobody.status, nobody.json.error.message]).toEqual([
      403,
      expect.stringContaining('under "identities" in the configuration'),
    ]);
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
    expect(line).toMatchObject({ rule: 'policy.hujson:6' });
    const denied = await at.logged(({ error }) => error === 'model_not_found');
    expect(denied).toMatchObject({ decision: expect.stringMatching(/:deny\/ai\/model$/) });
  });

  test('asks for an attested target where the object says so, and the refusal says so', async () => {
    const text = policyWith('instant').replace(
      '"maxOutputTokens"',
      '"requireAttested": true, "maxOutputTokens"',
    );
    expect((await apply(at, text)).status).toBe(200);
    const refused = await chat(at, keys.alice, 'instant');
    expect([refused.status, refused.json.error.message]).toEqual([
      403,
      expect.stringContaining('asks for an attested target (requireAttested)'),
    ]);
    const { json } = await call(`${at.url}/v1/models`, keys.alice);
    expect(json.data).toEqual([]);
    expect((await apply(at, policyWith('instant'))).json).toMatchObject({ version: { number: 3 } });
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
    // Mending needs no model: the control socket administers, and calls only what the policy grants its owner.
    const ask = { model: 'spare', messages };
    expect((await at.control('POST', '/v1/chat/completions', ask)).status).toBe(403);
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
    const given = (to: string): string =>
      policyWith('instant').replace('"group:research"], "dst"', `${to}], "dst"`);
    // Everybody is whoever asks, too: what an agent would give itself is refused and waits for nobody.
    const own = await call(`${api}/plans`, admin, { text: given('"*"'), base });
    expect(own).toMatchObject({ status: 201, json: { verdict: 'refused', risk: 'high' } });
    const change = { text: given('"group:research", "guest@example.com"'), base };
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
    at = await startGateway({ config, policy: policyWith('instant') });
    const admin = await at.key('admin', { admin: true });
    const text = policyWith('instant').replace('"root@example.com"', '"boss@example.com"');
    const url = `http://${at.address('admin')}/api/v1/policy/apply`;
    const { base } = await show(at);
    const { status, json } = await call(url, admin, { text, base });
    expect([status, json.error.message]).toEqual([
      400,
      expect.stringContaining('not mend this change'),
    ]);
    expect((await show(at)).base).toBe(base);
  });
});

describe('a confirmation', () => {
  test('over the connection that applied is refused, and over a new one counts', async () => {
    const at = await startGateway({ config, policy: policyWith('instant') });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const admin = await at.key('admin', { admin: true });
      const { base } = await show(at);
      const post = (route: string, body: JsonValue, over?: http.Agent) =>
        send(`http://${at.address('admin')}/api/v1/policy/${route}`, admin, body, over);
      const change = { text: policyWith('spare'), base };
      const planned = (await at.control('POST', '/api/v1/policy/plans', change)).body['plan'];
      // The answer of the operation, whose schema is tested.
      const { id } = planned as { id: string };
      await at.control('POST', `/api/v1/policy/plans/${id}/approve`);
      const applied = await post('apply', { plan: id }, agent);
      expect(applied).toMatchObject({ status: 200, json: { trial_until: expect.any(String) } });
      const digest: string = applied.json.version.digest;
      const same = await post('confirm', { digest }, agent);
      expect([same.status, same.json.error.message]).toEqual([
        409,
        expect.stringContaining('over the same connection'),
      ]);
      expect((await show(at)).trial_until).toEqual(expect.any(String));
      expect((await post('confirm', { digest })).status).toBe(200);
      expect((await show(at)).trial_until).toBeNull();
    } finally {
      agent.destroy();
      await at.stop();
    }
  });
});

describe('without a configuration file', () => {
  test('the built-in policy decides for the keys that the operator made, and explains itself', async () => {
    const at = await startGateway({ env: { POSTERN_LOCAL_BUDGET: '2.50' } });
    try {
      const key = await at.key('mine', { admin: true });
      expect((await chat(at, key, 'builtin/eliza')).status).toBe(200);
      const ask = { model: 'builtin/eliza', messages };
      expect((await at.control('POST', '/v1/chat/completions', ask)).status).toBe(200);
      const line = await at.logged(({ rule }) => rule !== undefined);
      expect(line).toMatchObject({
        rule: 'built-in policy:7',
        decision: 'built-in:/grants/0/app/postern.dev~1cap~1ai/0',
      });
      const explain = async (question: JsonValue) =>
        (await at.control('POST', '/api/v1/policy/explain', question)).body;
      expect(await explain({ decision: String(line['decision']) })).toMatchObject({
        verdict: 'allowed',
        rules: [{ line: 7 }],
      });
      expect(await explain({ key: 'mine', model: 'builtin/eliza' })).toMatchObject({
        verdict: 'allowed',
        selectors: ['tag:local'],
      });
      expect(await explain({ key: 'mine', operation: 'key.create' })).toMatchObject({
        verdict: 'denied',
      });
      expect(await show(at)).toMatchObject({
        authority: 'built-in',
        text: expect.stringContaining('tag:local'),
      });
    } finally {
      await at.stop();
    }
  });

  test('an applied policy decides instead, and the operator is what it grants tag:local', async () => {
    const at = await startGateway({});
    try {
      const key = await at.key('mine');
      expect((await apply(at, granting({ 'tag:local': { models: ['other/*'] } }))).status).toBe(
        200,
      );
      expect((await chat(at, key, 'builtin/eliza')).status).toBe(404);
    } finally {
      await at.stop();
    }
  });

  test('an amount that is none stops the start', async () => {
    await expect(startGateway({ env: { POSTERN_LOCAL_BUDGET: 'lots' } })).rejects.toThrow(
      /POSTERN_LOCAL_BUDGET: "lots" is not an amount/,
    );
  });
});

describe('a change that a protected path or a crown jewel is in the way of', () => {
  const protect = {
    paths: [
      { name: 'the way to the console', from: ['tag:ops'], to: ['tag:gateway'], ports: ['443'] },
    ],
    crownJewels: [{ name: 'the vault', to: ['tag:vault'] }],
  };
  const tags = '"tagOwners": {"tag:ops": [], "tag:gateway": [], "tag:vault": [], "tag:ci": []}';
  const network = (grants: string): string => `{${tags}, "grants": [${grants}]}`;
  const way = '{"src": ["tag:ops"], "dst": ["tag:gateway"], "ip": ["443"]}';

  test('is refused, or waits for an approval, with the sentence of the configuration', async () => {
    const at = await startGateway({
      config: { ...config, policy: { protect } },
      policy: network(way),
    });
    try {
      expect((await show(at)).authority).toBe('policy');
      const closing = await apply(at, network(way.replace('443', '80')));
      expect([closing.status, closing.json.error.message]).toEqual([
        400,
        expect.stringContaining('the way to the console: tag:ops would be locked out'),
      ]);
      const { base } = await show(at);
      const opening = network(`${way}, {"src": ["tag:ci"], "dst": ["tag:vault"], "ip": ["22"]}`);
      const planned = await at.control('POST', '/api/v1/policy/plans', { text: opening, base });
      expect(planned.body).toMatchObject({ verdict: 'approval', risk: 'high' });
      expect(JSON.stringify(planned.body['findings'])).toContain('the vault would be open to more');
    } finally {
      await at.stop();
    }
  });
});

describe('a trial', () => {
  const trial = { confirm_within_s: 3 };
  /** Long enough for a restart on a slow machine. */
  const longTrial = { confirm_within_s: 6 };

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
      expect(await show(at)).toMatchObject({ authority: 'none', trial_until: null });

      const { digest } = (await apply(at, policyWith('instant'), trial)).json.version;
      const confirmed = await at.control('POST', '/api/v1/policy/confirm', { digest });
      expect(confirmed.status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 3_100));
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
      await apply(first, policyWith('instant'), longTrial);
      await first.stop();

      const second = await startGateway({ config, stateDir });
      expect((await show(second)).trial_until).toEqual(expect.any(String));
      expect((await chat(second, alice, 'instant')).status).toBe(200);
      await waitFor(
        () => second.log.find(({ msg }) => String(msg).startsWith('nobody confirmed')),
        20_000,
      );
      expect((await chat(second, alice, 'instant')).status).toBe(404);
      expect((await chat(second, alice, 'spare')).status).toBe(200);
      await apply(second, policyWith('instant'), { confirm_within_s: 1 });
      await second.stop();

      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const third = await startGateway({ config, stateDir });
      expect((await chat(third, alice, 'instant')).status).toBe(404);
      expect((await chat(third, alice, 'spare')).status).toBe(200);
      await third.stop();
    } finally {
      await rm(stateDir, { recursive: true, force: true, maxRetries: 5 });
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
      await rm(stateDir, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  test('is applied at the start where it is the first one ever, and is a candidate afterwards', async () => {
    await withFile(policyWith('instant'), false, async (at, file) => {
      await at.logged(({ msg }) => msg === 'policy in force: the first one, applied at the start');
      const alice = await at.key('alice');
      expect(await show(at)).toMatchObject({
        authority: 'policy',
        version: { number: 1 },
        candidate: { file, state: 'in_force', auto_apply: false },
      });
      expect((await chat(at, alice, 'instant')).status).toBe(200);
      await writeFile(file, policyWith('spare'));
      await at.logged(({ problem }) => String(problem).includes('is not in force'));
      expect((await show(at)).candidate.state).toBe('differs');
      expect((await chat(at, alice, 'spare')).status).toBe(404);
    });
  });

  test('is applied as the first one whatever its risk, but never where it is refused or opens by omission', async () => {
    const wide = policyWith('instant').replace('"group:research"], "dst"', '"*"], "dst"');
    await withFile(wide, false, async (at) => {
      expect(await show(at)).toMatchObject({ authority: 'policy', version: { risk: 'high' } });
    });
    const unbound = policyWith('instant').replace(
      '"maxOutputTokens"',
      '"budgets": ["none"], "maxOutputTokens"',
    );
    for (const text of ['{"groups": {}}', '{"grants": [', unbound]) {
      await withFile(text, false, async (at) => {
        await at.logged(({ problem }) => String(problem).startsWith('the policy file is refused'));
        expect(await show(at)).toMatchObject({ authority: 'none' });
      });
    }
  });

  test('that was taken back is not applied again by a start', async () => {
    await withFile(policyWith('instant'), false, async (at, file) => {
      const { version } = await show(at);
      const back = { expected: version.digest };
      expect((await at.control('POST', '/api/v1/policy/rollback', back)).status).toBe(200);
      expect(await show(at)).toMatchObject({ authority: 'none', candidate: { file } });
      await at.stop();
      const again = await startGateway({ config, stateDir: at.stateDir });
      expect(await show(again)).toMatchObject({ authority: 'none' });
      await again.stop();
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
