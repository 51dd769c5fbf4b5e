/** Revoked and blocked callers: their next request is refused, and what they have open is cut at once. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { dataFrames, sse, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import { chatChunk, routes } from './gateway-fixture.ts';

const issuer = 'https://issuer.test';
const never = new Promise<never>(() => undefined);
/** "At once", on a machine that runs other tests too. */
const cutMsMax = 2_000;

let folder: string;
let upstream: ScriptedUpstream;
let gateway: TestGateway;
let mint: (subject: string, issuedAtSeconds: number, id?: string) => Promise<string>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'postern-contain-'));
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const jwksFile = path.join(folder, 'jwks.json');
  await writeFile(jwksFile, JSON.stringify({ keys: [jwk] }));
  mint = (subject, issuedAt, id = 'jti') =>
    new SignJWT({ jti: id, team: 'ai' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(issuer)
      .setAudience('postern')
      .setSubject(subject)
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + 3_000)
      .sign(privateKey);
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: { oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] } },
      identities: {
        issuers: [{ issuer, audience: ['postern'], algorithms: ['ES256'], jwksFile }],
        map: [...keysAsTags().map, { issuer, claim: 'team', value: 'ai', as: ['tag:token'] }],
      },
    },
    policy: granting({ 'tag:key': { models: ['**'] }, 'tag:token': { models: ['**'] } }),
  });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
  await rm(folder, { recursive: true, force: true });
});

interface OpenStream {
  /** How it ended: cut, never as a whole body. */
  readonly ended: Promise<{ readonly text: string; readonly isWhole: boolean }>;
  readonly isOpen: () => boolean;
  close(): void;
}

/** An answer that has begun and goes on for ever. */
async function openStream(bearer: string, localAddress?: string): Promise<OpenStream> {
  upstream.expect({
    headers: sse,
    pieces: [dataFrames(chatChunk({ role: 'assistant', content: 'Hel' })), { wait: never }],
  });
  const { path: route, body } = routes['openai-chat'];
  const request = http.request(`${gateway.url}${route}`, {
    method: 'POST',
    agent: false,
    ...(localAddress === undefined ? {} : { localAddress }),
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
  });
  request.on('error', () => undefined);
  request.end(JSON.stringify(body('oai/up', true)));
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
  });
  expect(response.statusCode).toBe(200);
  let text = '';
  let isOpen = true;
  response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  const ended = new Promise<{ text: string; isWhole: boolean }>((resolve) => {
    response.on('error', () => undefined);
    response.on('close', () => {
      isOpen = false;
      resolve({ text, isWhole: response.complete });
    });
  });
  return { ended, isOpen: () => isOpen, close: () => request.destroy() };
}

async function inTime<T>(promise: Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const began = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it is still open')), cutMsMax);
  });
  const value = await Promise.race([promise, late]).finally(() => clearTimeout(timer));
  return { value, ms: performance.now() - began };
}

async function status(bearer: string, localAddress?: string): Promise<number | string> {
  return new Promise((resolve) => {
    const request = http.get(
      `${gateway.url}/v1/models`,
      {
        agent: false,
        headers: { authorization: `Bearer ${bearer}` },
        ...(localAddress === undefined ? {} : { localAddress }),
      },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    request.on('error', (fault: NodeJS.ErrnoException) => resolve(fault.code ?? 'error'));
  });
}

const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

describe('a stream that is open', () => {
  test('is cut when its key is revoked, and nobody else’s is', async () => {
    const [doomed, other] = [await gateway.key('doomed'), await gateway.key('other')];
    const [mine, theirs] = [await openStream(doomed), await openStream(other)];
    await gateway.control('POST', '/api/v1/keys/doomed/revoke', {});
    const { value } = await inTime(mine.ended);
    expect(value.isWhole).toBe(false);
    expect(value.text).not.toContain('[DONE]');
    expect(theirs.isOpen()).toBe(true);
    expect(await status(doomed)).toBe(401);
    expect(await status(other)).toBe(200);
    theirs.close();
  });

  test('is cut when its key gets a successor, which works', async () => {
    const old = await gateway.key('turning');
    const open = await openStream(old);
    const made = await gateway.control('POST', '/api/v1/keys/turning/rotate', { reason: 'leak' });
    expect(made.status).toBe(201);
    expect((await inTime(open.ended)).value.isWhole).toBe(false);
    expect(await status(old)).toBe(401);
    expect(await status(String(made.body['secret']))).toBe(200);
  });

  test('is cut when tokens of its issuer are revoked; one issued later lives', async () => {
    const before = await mint('ann', nowSeconds() - 60);
    const open = await openStream(before);
    const epoch = new Date((nowSeconds() - 10) * 1_000).toISOString();
    const younger = await mint('ann', nowSeconds() - 5, 'later');
    const later = await openStream(younger);
    await gateway.control('POST', '/api/v1/revocations', {
      target: { by: 'issuer', issuer, issued_before: epoch },
    });
    expect((await inTime(open.ended)).value.isWhole).toBe(false);
    expect(await status(before)).toBe(401);
    expect(await status(younger)).toBe(200);
    expect(later.isOpen()).toBe(true);
    later.close();
  });

  test('is cut when its one token or its subject is revoked', async () => {
    const [one, two] = [
      await mint('bob', nowSeconds(), 'b1'),
      await mint('cyd', nowSeconds(), 'c1'),
    ];
    const [first, second] = [await openStream(one), await openStream(two)];
    await gateway.control('POST', '/api/v1/revocations', {
      target: { by: 'token', issuer, token_id: 'b1' },
    });
    await inTime(first.ended);
    expect(second.isOpen()).toBe(true);
    await gateway.control('POST', '/api/v1/revocations', {
      target: { by: 'subject', issuer, subject: 'cyd' },
    });
    await inTime(second.ended);
  });

  test('is cut when its principal is blocked, and comes back when that is lifted', async () => {
    const key = await gateway.key('eve');
    const listed = await gateway.control('GET', '/api/v1/keys?limit=1000');
    const items = listed.body['items'] as { name: string; id: string }[];
    const id = items.find(({ name }) => name === 'eve')?.id ?? '';
    const open = await openStream(key);
    const made = await gateway.control('POST', '/api/v1/blocks', { principal: `key:${id}` });
    expect(made.status).toBe(201);
    await inTime(open.ended);
    expect(await status(key)).toBe(403);
    await gateway.control('DELETE', `/api/v1/blocks/${String(made.body['id'])}`);
    expect(await status(key)).toBe(200);
  });

  test('is cut when its address is blocked; the neighbour is served, a new connection is not', async () => {
    const key = await gateway.key('addressed');
    const [near, far] = [await openStream(key, '127.0.0.1'), await openStream(key, '127.0.0.66')];
    const made = await gateway.control('POST', '/api/v1/blocks', { address: '127.0.0.66' });
    expect(made.body).toMatchObject({ address: '127.0.0.66/32' });
    expect((await inTime(far.ended)).value.isWhole).toBe(false);
    expect(near.isOpen()).toBe(true);
    expect(await status(key, '127.0.0.66')).toBe('ECONNRESET');
    expect(await status(key, '127.0.0.1')).toBe(200);
    await gateway.control('DELETE', `/api/v1/blocks/${String(made.body['id'])}`);
    expect(await status(key, '127.0.0.66')).toBe(200);
    near.close();
  });
});
