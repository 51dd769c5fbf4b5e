import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Command, StateEvent } from './command.ts';
import { decodeState, encodeState } from './codec.ts';
import type { Decision } from './decide.ts';
import { decide } from './decide.ts';
import { keyStanding, recogniseKey, tokenRevocation } from './lookup.ts';
import type { Author, RevocationTarget, State } from './model.ts';
import { emptyState, reduce } from './reduce.ts';
import { mintSecretText, secretHint } from './secret-text.ts';

const nowMs = Date.UTC(2030, 0, 1);
const owner: Author = { actor: { principal: 'local:uid:1000', channel: 'control-socket' } };
const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');
const digestOf = (name: string): string => sha256Hex(`secret of ${name}`);

let ids = 0;
function context(author: Author = owner, atMs = nowMs): Parameters<typeof decide>[2] {
  const newId = (): string => {
    ids += 1;
    return String(ids).padStart(4, '0');
  };
  return { nowMs: atMs, newId, author };
}

type KeyCreate = Extract<Command, { kind: 'key.create' }>;

function create(name: string, more: Partial<KeyCreate> = {}): KeyCreate {
  const digest = digestOf(name);
  return { kind: 'key.create', name, digest, hint: 'AbC9', scope: {}, boundTo: [], ...more };
}

/** The state after commands that are all allowed. */
function after(
  state: State,
  ...commands: readonly (Command | readonly [Command, Author])[]
): State {
  return commands.reduce((at: State, each) => {
    const [command, author] = 'kind' in each ? [each, owner] : each;
    const decision = decide(at, command, context(author));
    if (!decision.ok) throw new Error(decision.error.message);
    return decision.value.reduce(reduce, at);
  }, state);
}

function events(decision: Decision): readonly StateEvent[] {
  if (!decision.ok) throw new Error(decision.error.message);
  return decision.value;
}

function idOf(state: State, name: string): string {
  return state.keysByName.get(name)?.id ?? 'none';
}

function keyAuthor(state: State, name: string): Author {
  return { actor: { principal: `key:${idOf(state, name)}`, channel: 'admin' } };
}

const revoke = (key: string, withChildren = false): Command => ({
  kind: 'key.revoke',
  key,
  withChildren,
});

describe('making keys', () => {
  test('a key holds what was asked, who asked, and the digest alone', () => {
    const scope = { models: ['local/**'], admin: false };
    const state = after(emptyState(), create('ci', { scope, boundTo: ['tag:ci'] }));
    const key = state.keysByName.get('ci');
    expect(key).toEqual({
      id: expect.stringMatching(/^key_/),
      name: 'ci',
      digest: digestOf('ci'),
      hint: 'AbC9',
      scope,
      boundTo: ['tag:ci'],
      createdBy: 'local:uid:1000',
      createdAtMs: nowMs,
    });
    expect(state.keysByDigest.get(digestOf('ci'))).toBe(key);
    expect(Object.isFrozen(key) && Object.isFrozen(key?.scope.models)).toBe(true);
  });

  test('a name belongs to one live key, and is free again once that is revoked', () => {
    const state = after(emptyState(), create('ci'));
    const again = create('ci', { digest: digestOf('other') });
    expect(decide(state, again, context())).toMatchObject({ error: { code: 'conflict' } });
    const freed = after(state, revoke('ci'), again);
    expect(freed.keysByName.get('ci')?.digest).toBe(digestOf('other'));
    expect(freed.keysById.size).toBe(2);
  });

  test('the same secret twice is a conflict', () => {
    const state = after(emptyState(), create('a'));
    const twice = create('b', { digest: digestOf('a') });
    expect(decide(state, twice, context())).toMatchObject({ error: { code: 'conflict' } });
  });

  test('a time of zero is a time: the key would have expired, not live for ever', () => {
    for (const expiresAtMs of [0, nowMs - 1, nowMs]) {
      const refused = decide(emptyState(), create('a', { expiresAtMs }), context());
      expect(refused).toMatchObject({ error: { code: 'invalid_request', param: 'expiresAtMs' } });
    }
    const state = after(emptyState(), create('a', { expiresAtMs: nowMs + 1 }));
    const key = state.keysByName.get('a');
    expect(key && keyStanding(key, nowMs).ok).toBe(true);
    expect(key && keyStanding(key, nowMs + 1)).toMatchObject({
      error: { code: 'credential_expired' },
    });
    const restored = decodeState(encodeState(state));
    expect(restored?.keysByName.get('a')?.expiresAtMs).toBe(nowMs + 1);
  });

  const flawed: readonly (readonly [string, Partial<KeyCreate>])[] = [
    ['name', { name: '' }],
    ['name', { name: 'a'.repeat(65) }],
    ['name', { name: `a' OR 1=1; --` }],
    ['name', { name: 'key_0001' }],
    ['name', { name: 'a\u0000b' }],
    ['digest', { digest: 'F'.repeat(64) }],
    ['digest', { digest: 'abc' }],
    ['hint', { hint: 'toolong' }],
    ['scope.models', { scope: { models: [] } }],
    ['scope.models', { scope: { models: ['a', 'a'] } }],
    ['scope.models', { scope: { models: ['a b'] } }],
    ['scope.models', { scope: { models: ['x'.repeat(257)] } }],
    ['scope.dialects', { scope: { dialects: [''] } }],
    ['boundTo', { boundTo: ['tag:a\u202e'] }],
    ['boundTo', { boundTo: ['\ud800'] }],
    ['expiresAtMs', { expiresAtMs: 1.5 }],
    ['expiresAtMs', { expiresAtMs: Number.NaN }],
    ['expiresAtMs', { expiresAtMs: 1e16 }],
  ];
  for (const [param, more] of flawed) {
    test(`a flawed ${param} is refused and named: ${JSON.stringify(more)}`, () => {
      const refused = decide(emptyState(), create('fine', more), context());
      expect(refused).toMatchObject({ error: { code: 'invalid_request', param } });
    });
  }
});

describe('a key made by a key', () => {
  const parent = create('parent', {
    scope: { models: ['local/**', 'instant'], dialects: ['openai-chat'], admin: true },
    boundTo: ['tag:ci', 'alice@example.com'],
    expiresAtMs: nowMs + 1_000,
  });
  const child: Partial<KeyCreate> = {
    scope: { models: ['local/llama-*'], dialects: ['openai-chat'], admin: false },
    boundTo: ['tag:ci'],
    expiresAtMs: nowMs + 1_000,
  };
  const state = after(emptyState(), parent);
  const author = keyAuthor(state, 'parent');

  test('may be as narrow as its maker', () => {
    const made = after(state, [create('child', child), author]);
    expect(made.keysByName.get('child')?.createdBy).toBe(author.actor.principal);
  });

  const wider: readonly (readonly [string, Partial<KeyCreate>])[] = [
    ['scope.models', { scope: { dialects: ['openai-chat'], admin: false } }],
    ['scope.models', { scope: { ...child.scope, models: ['**'] } }],
    ['scope.models', { scope: { ...child.scope, models: ['local/a', 'openai/gpt'] } }],
    ['scope.dialects', { scope: { models: ['instant'], admin: false } }],
    ['scope.dialects', { scope: { ...child.scope, dialects: ['ask'] } }],
    ['boundTo', { boundTo: [] }],
    ['boundTo', { boundTo: ['tag:ci', 'tag:other'] }],
    ['expiresAtMs', { expiresAtMs: nowMs + 1_001 }],
  ];
  for (const [param, more] of wider) {
    test(`is never wider in ${param}: ${JSON.stringify(more)}`, () => {
      const refused = decide(state, create('child', { ...child, ...more }), context(author));
      expect(refused).toMatchObject({ error: { code: 'access_denied', param } });
    });
  }

  test('does not outlive a maker by never expiring', () => {
    const { expiresAtMs: _, ...endless } = create('child', child);
    expect(decide(state, endless, context(author))).toMatchObject({
      error: { code: 'access_denied', param: 'expiresAtMs' },
    });
  });

  test('does not administer where its maker may not, however that is left out', () => {
    const plain = after(emptyState(), create('plain', { scope: { admin: false } }));
    for (const scope of [{}, { admin: true }]) {
      const refused = decide(plain, create('c', { scope }), context(keyAuthor(plain, 'plain')));
      expect(refused).toMatchObject({ error: { code: 'access_denied', param: 'scope.admin' } });
    }
  });

  test('is not made by a key that was revoked, forgotten or has expired meanwhile', () => {
    const revoked = after(state, revoke('parent'));
    expect(decide(revoked, create('child', child), context(author))).toMatchObject({
      error: { code: 'credential_revoked' },
    });
    expect(decide(state, create('child', child), context(author, nowMs + 1_000))).toMatchObject({
      error: { code: 'credential_expired' },
    });
    expect(decide(emptyState(), create('child', child), context(author))).toMatchObject({
      error: { code: 'credential_invalid' },
    });
  });

  test('the scope of a token that asks narrows just the same', () => {
    const token: Author = {
      actor: { principal: 'jwt:https://issuer#alice', channel: 'admin' },
      scope: { models: ['instant'] },
    };
    const refused = decide(emptyState(), create('a'), context(token));
    expect(refused).toMatchObject({ error: { code: 'access_denied', param: 'scope.models' } });
  });
});

describe('revoking keys', () => {
  test('works by id and by name, and doing it again changes nothing', () => {
    const state = after(emptyState(), create('a'), create('b'));
    const byName = after(state, revoke('a'));
    expect(byName.keysById.get(idOf(state, 'a'))?.revokedAtMs).toBe(nowMs);
    const byId = after(state, revoke(idOf(state, 'b')));
    expect(byId.keysByName.has('b')).toBe(false);
    expect(events(decide(byId, revoke(idOf(state, 'b')), context()))).toEqual([]);
    expect(decide(byId, revoke('b'), context())).toMatchObject({ error: { code: 'not_found' } });
  });

  test('takes the whole family where that is asked, and nobody else', () => {
    let state = after(emptyState(), create('a'), create('bystander'));
    state = after(state, [create('a1'), keyAuthor(state, 'a')]);
    state = after(state, [create('a11'), keyAuthor(state, 'a1')]);
    const alone = after(state, revoke('a'));
    expect([...alone.keysByName.values()].map((key) => key.name).toSorted()).toEqual([
      'a1',
      'a11',
      'bystander',
    ]);
    const family = after(state, revoke('a', true));
    expect([...family.keysByName.values()].map((key) => key.name)).toEqual(['bystander']);
  });
});

describe('recognising keys', () => {
  const secret = mintSecretText((count) => new Uint8Array(count).fill(7));
  const made = create('a', { digest: sha256Hex(secret), hint: secretHint(secret) });
  const state = after(emptyState(), made);
  const look = (text: string, at: State = state): unknown =>
    recogniseKey(at, text, { nowMs, sha256Hex });

  test('a key is found by its whole text', () => {
    expect(look(secret)).toMatchObject({ ok: true, value: { name: 'a' } });
    expect(look('sk-something')).toBeUndefined();
  });

  test('typo, unknown and revoked are told apart', () => {
    const mistyped = `${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}`;
    expect(look(mistyped)).toMatchObject({
      error: { code: 'credential_invalid', message: expect.stringContaining('typo') },
    });
    const stranger = mintSecretText((count) => new Uint8Array(count).fill(8));
    expect(look(stranger)).toMatchObject({
      error: { code: 'credential_invalid', message: expect.stringContaining('not known') },
    });
    expect(look(secret, after(state, revoke('a')))).toMatchObject({
      error: { code: 'credential_revoked' },
    });
  });
});

describe('revoking tokens', () => {
  const issuer = 'https://issuer.example';
  const token = { issuer, subject: 'alice', tokenId: 't1', issuedAtMs: nowMs - 10_000 };
  const against = (target: RevocationTarget): Command => ({ kind: 'revocation.create', target });

  test('one token, by issuer and id', () => {
    const state = after(emptyState(), against({ by: 'token', issuer, tokenId: 't1' }));
    expect(tokenRevocation(state, token)?.target).toMatchObject({ tokenId: 't1' });
    expect(tokenRevocation(state, { ...token, tokenId: 't2' })).toBeUndefined();
    expect(tokenRevocation(state, { ...token, issuer: 'https://other' })).toBeUndefined();
    expect(tokenRevocation(state, { ...token, tokenId: undefined })).toBeUndefined();
  });

  test('a subject, wholly or up to a time', () => {
    const whole = after(emptyState(), against({ by: 'subject', issuer, subject: 'alice' }));
    expect(tokenRevocation(whole, { ...token, issuedAtMs: nowMs + 1e9 })).toBeDefined();
    expect(tokenRevocation(whole, { ...token, subject: 'bob' })).toBeUndefined();
    const until = after(
      emptyState(),
      against({ by: 'subject', issuer, subject: 'alice', issuedBeforeMs: nowMs }),
    );
    expect(tokenRevocation(until, token)).toBeDefined();
    expect(tokenRevocation(until, { ...token, issuedAtMs: nowMs })).toBeUndefined();
    expect(tokenRevocation(until, { ...token, issuedAtMs: undefined })).toBeDefined();
  });

  test('an issuer epoch refuses what is older or undated, and only rises', () => {
    const epoch = (issuedBeforeMs: number): Command =>
      against({ by: 'issuer', issuer, issuedBeforeMs });
    const state = after(emptyState(), epoch(nowMs));
    expect(tokenRevocation(state, token)).toBeDefined();
    expect(tokenRevocation(state, { ...token, issuedAtMs: undefined })).toBeDefined();
    expect(tokenRevocation(state, { ...token, issuedAtMs: nowMs })).toBeUndefined();
    expect(events(decide(state, epoch(nowMs - 1), context()))).toEqual([]);
    const risen = after(state, epoch(nowMs + 1));
    expect(risen.revocationsById.size).toBe(1);
    const id = [...risen.revocationsById.values()][0]?.id ?? '';
    expect(decide(risen, { kind: 'revocation.lift', id }, context())).toMatchObject({
      error: { code: 'conflict' },
    });
    expect(decide(state, epoch(nowMs + 3_600_000), context())).toMatchObject({
      error: { code: 'invalid_request' },
    });
  });

  test('a stronger revocation replaces a weaker one; lifting lets the token in again', () => {
    const weak = { by: 'subject', issuer, subject: 'alice', issuedBeforeMs: 1 } as const;
    const strong = { by: 'subject', issuer, subject: 'alice' } as const;
    const state = after(emptyState(), against(weak), against(strong));
    expect(state.revocationsById.size).toBe(1);
    expect(events(decide(state, against(weak), context()))).toEqual([]);
    const id = tokenRevocation(state, token)?.id ?? '';
    const lifted = after(state, { kind: 'revocation.lift', id });
    expect(tokenRevocation(lifted, token)).toBeUndefined();
    expect(lifted.revocationsById.size).toBe(0);
    expect(decide(lifted, { kind: 'revocation.lift', id }, context())).toMatchObject({
      error: { code: 'not_found' },
    });
  });

  test('texts that look alike in pieces are different targets', () => {
    const state = after(emptyState(), against({ by: 'token', issuer: 'a","b', tokenId: 'c' }));
    const other = { issuer: 'a', subject: 's', tokenId: 'b","c' };
    expect(tokenRevocation(state, other)).toBeUndefined();
  });
});

describe('configuration generations', () => {
  const apply = (text: string, expected?: number): Command => ({
    kind: 'config.apply',
    text,
    digest: sha256Hex(text),
    ...(expected === undefined ? {} : { expected }),
  });

  test('count from one, and the text in force makes no new one', () => {
    const state = after(emptyState(), apply('{}', 0), apply('{"a":1}', 1));
    expect(state.generations.map(({ number }) => number)).toEqual([2, 1]);
    expect(events(decide(state, apply('{"a":1}'), context()))).toEqual([]);
  });

  test('two writers who read the same generation do not both win', () => {
    const state = after(emptyState(), apply('{}'), apply('{"a":1}', 1));
    expect(decide(state, apply('{"b":1}', 1), context())).toMatchObject({
      error: { code: 'conflict', param: 'expected' },
    });
  });

  test('the last twenty are kept, and numbers never repeat', () => {
    const state = after(emptyState(), ...Array.from({ length: 25 }, (_, i) => apply(`{"n":${i}}`)));
    expect(state.generations).toHaveLength(20);
    expect(state.generations.map(({ number }) => number).at(-1)).toBe(6);
  });

  test('a text beyond the limit or not Unicode is refused', () => {
    for (const text of ['x'.repeat(1_048_577), '\ud800']) {
      expect(decide(emptyState(), apply(text), context())).toMatchObject({
        error: { code: 'invalid_request', param: 'text' },
      });
    }
  });
});

describe('any command in any state', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'key_1', '', `'; DROP TABLE journal; --`);
  const time = fc.constantFrom(0, 1, nowMs - 1, nowMs, nowMs + 1, -1, 1.5, Number.NaN, 2 ** 53);
  const issuer = fc.constantFrom('i', 'j', '', '\u0000');
  const target: fc.Arbitrary<RevocationTarget> = fc.oneof(
    fc.record({ by: fc.constant('token' as const), issuer, tokenId: name }),
    fc.record({ by: fc.constant('subject' as const), issuer, subject: name }),
    fc.record({ by: fc.constant('issuer' as const), issuer, issuedBeforeMs: time }),
  );
  const command: fc.Arbitrary<Command> = fc.oneof(
    fc.record({ name, expiresAtMs: time }).map((each) => create(each.name, each)),
    name.map((each) => create(each)),
    fc.record({ key: name, withChildren: fc.boolean() }).map(
      (each): Command => ({
        kind: 'key.revoke',
        ...each,
      }),
    ),
    target.map((each): Command => ({ kind: 'revocation.create', target: each })),
    name.map((id): Command => ({ kind: 'revocation.lift', id })),
    fc.string({ unit: 'binary', maxLength: 5 }).map(
      (text): Command => ({
        kind: 'config.apply',
        text,
        digest: sha256Hex(text),
      }),
    ),
  );

  test('has an answer; a refusal changes nothing; the state survives its text', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
        let state = emptyState();
        for (const each of commands) {
          const before = encodeState(state);
          const decision = decide(state, each, context());
          expect(encodeState(state)).toBe(before);
          if (decision.ok) state = decision.value.reduce(reduce, state);
        }
        const text = encodeState(state);
        const decoded = decodeState(text);
        expect(decoded && encodeState(decoded)).toBe(text);
        for (const key of state.keysById.values()) {
          expect(decoded?.keysByDigest.get(key.digest)).toEqual(key);
          expect(decoded?.keysByName.get(key.name)?.id).toBe(state.keysByName.get(key.name)?.id);
        }
      }),
      { numRuns: 200 },
    );
  });
});
