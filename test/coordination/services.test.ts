import { createPublicKey, verify } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';
import type { Rig } from './rig.ts';
import { allowAll, operator, startRig } from './rig.ts';

const records: { readonly name: string; readonly value: string }[] = [];
let putProblem: string | undefined;
let holding: Promise<void> = Promise.resolve();
let rig: Rig;
let stateDir: string;
const open: ControlClient[] = [];

beforeAll(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), 'postern-services-'));
  rig = await startRig({
    stateDir,
    putTxtRecord: async (record) => {
      await holding;
      records.push(record);
      return putProblem === undefined
        ? { ok: true, value: undefined }
        : { ok: false, error: putProblem };
    },
  });
  await rig.applyPolicy(allowAll);
});

afterAll(async () => {
  for (const client of open) client.close();
  await rig.close();
  await rm(stateDir, { recursive: true, force: true });
});

async function joined(hostname: string, tags: readonly string[] = []): Promise<ControlClient> {
  const one = await ControlClient.connect({ url: rig.url, machine: newMachine(hostname) });
  open.push(one);
  const answer = await one.register({ authKey: await rig.preAuthKey({ tags }) });
  expect(answer.Error).toBe('');
  await one.update({ endpoints: ['192.0.2.1:40000'] });
  return one;
}

interface Said {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function ask(one: ControlClient, at: string, body: object): Promise<Said> {
  const said = await one.session.post(at, { NodeKey: one.nodeKey, ...body });
  // Every answer is a JSON object; another one fails the test.
  return { status: said.status, body: JSON.parse(said.body) as Said['body'] };
}

function part(token: string, index: number): Record<string, unknown> {
  const text = Buffer.from(token.split('.')[index] ?? '', 'base64url').toString('utf8');
  // A token that does not hold JSON fails the test here.
  return JSON.parse(text) as Record<string, unknown>;
}

describe('id-tokens', () => {
  const tokenOf = async (one: ControlClient, Audience: string): Promise<string> => {
    const said = await ask(one, '/machine/id-token', { Audience });
    expect(said.status).toBe(200);
    return String(said.body['id_token']);
  };

  test('say who a machine is, verify by the published key, and name their audience', async () => {
    const one = await joined('builder', ['tag:ci']);
    const token = await tokenOf(one, 'sts.example.com');
    const discovery = (await (
      await fetch(`${rig.url}/.well-known/openid-configuration`)
    ).json()) as Record<string, unknown>;
    const issuer = rig.plane.plan.url.origin;
    expect(discovery).toMatchObject({
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      id_token_signing_alg_values_supported: ['ES256'],
    });
    const jwks = (await (await fetch(`${rig.url}/.well-known/jwks.json`)).json()) as {
      readonly keys: readonly [Record<string, string>];
    };
    const [jwk] = jwks.keys;
    expect(part(token, 0)).toEqual({ alg: 'ES256', typ: 'JWT', kid: jwk['kid'] });
    const key = createPublicKey({ format: 'jwk', key: jwk });
    const [head, claims, signature = ''] = token.split('.');
    const signed = Buffer.from(`${head}.${claims}`, 'ascii');
    const ieee = { key, dsaEncoding: 'ieee-p1363' } as const;
    expect(verify('sha256', signed, ieee, Buffer.from(signature, 'base64url'))).toBe(true);
    const said = part(token, 1);
    expect(said).toMatchObject({
      iss: issuer,
      aud: 'sts.example.com',
      sub: 'n1',
      nid: 1,
      node: 'builder.mesh.internal',
      key: one.nodeKey,
      domain: 'mesh.internal',
      tags: ['mesh.internal:tag:ci'],
    });
    expect(said).not.toHaveProperty('user');
    expect(Number(said['exp']) - Number(said['iat'])).toBe(300);
    expect(JSON.stringify(jwks)).not.toContain('"d"');
  });

  test('of a person’s machine name the person', async () => {
    const one = await joined('laptop');
    expect(part(await tokenOf(one, 'a'), 1)).toMatchObject({
      user: 'mesh.internal:alice@example.com',
      sub: 'n2',
    });
  });

  test('are refused to the key of another machine, to a machine that is out, and without an audience', async () => {
    const [one, other] = [await joined('one'), await joined('other')];
    const stolen = { NodeKey: other.nodeKey, Audience: 'a' };
    expect((await one.session.post('/machine/id-token', stolen)).status).toBe(401);
    expect((await ask(one, '/machine/id-token', { Audience: ' ' })).status).toBe(400);
    expect((await ask(one, '/machine/id-token', { Audience: 'a'.repeat(513) })).status).toBe(400);
    const id = rig.control.snapshot().network.nodesByKey.get(other.nodeKey)?.id ?? '';
    await rig.control.execute({ kind: 'node.expire', id, isLogout: false }, operator);
    expect((await ask(other, '/machine/id-token', { Audience: 'a' })).status).toBe(403);
  });
});

describe('records for certificates', () => {
  const names = (dns: ControlClient['netmap']['dns']): string => String(dns?.['CertDomains']);
  const challenge = { Type: 'TXT', Value: 'gfj9Xq-Rg85nM' };

  test('are set for the own name of the machine and for no other', async () => {
    const one = await joined('web');
    const own = '_acme-challenge.web.mesh.internal';
    expect((await ask(one, '/machine/set-dns', { ...challenge, Name: own })).body).toEqual({});
    expect(records).toEqual([{ name: own, value: 'gfj9Xq-Rg85nM' }]);
    for (const wrong of [
      { Name: '_acme-challenge.laptop.mesh.internal' },
      { Name: 'web.mesh.internal' },
      { Name: '_acme-challenge.mesh.internal' },
      { Name: `${own}\n_acme-challenge.laptop.mesh.internal` },
      { Name: own, Type: 'A' },
      { Name: own, Value: 'two words' },
      { Name: own, Value: '' },
    ]) {
      expect((await ask(one, '/machine/set-dns', { ...challenge, ...wrong })).status).toBe(403);
    }
    expect(records).toHaveLength(1);
  });

  test('go one at a time for each machine, and a failure is no secret of the server’s', async () => {
    const one = await joined('slow');
    const own = { ...challenge, Name: '_acme-challenge.slow.mesh.internal' };
    let go = (): void => undefined;
    holding = new Promise((resolve) => {
      go = resolve;
    });
    const first = ask(one, '/machine/set-dns', own);
    await expect.poll(async () => (await ask(one, '/machine/set-dns', own)).status).toBe(429);
    putProblem = 'zone key abc is wrong';
    go();
    const said = await first;
    expect(said.status).toBe(502);
    expect(JSON.stringify(said.body)).not.toContain('abc');
    putProblem = undefined;
  });

  test('a machine is told the name that it can get a certificate for, also a new one', async () => {
    const one = await joined('named');
    one.follow();
    await one.until(({ dns }) => names(dns) === 'named.mesh.internal');
    const id = rig.control.snapshot().network.nodesByKey.get(one.nodeKey)?.id ?? '';
    await rig.control.execute(
      { kind: 'node.rename', id, name: 'better', from: 'chosen' },
      operator,
    );
    await one.until(({ dns }) => names(dns) === 'better.mesh.internal');
    expect(one.netmap.self?.CapMap).toHaveProperty('https');
  });
});

test('what is not there says so in words that a client shows', async () => {
  const one = await joined('curious');
  const lock = await ask(one, '/machine/tka/init/begin', {});
  expect(lock).toMatchObject({ status: 501 });
  expect(lock.body['error']).toContain('tailnet lock is not supported');
  const attribute = await ask(one, '/machine/set-device-attr', { Update: { 'custom:x': true } });
  expect(attribute).toMatchObject({ status: 501 });
  const funnel = await ask(one, '/machine/feature/query', { Feature: 'funnel' });
  expect(funnel.body).toMatchObject({ complete: false });
  expect(funnel.body['text']).toContain('no public ingress');
  const serve = await ask(one, '/machine/feature/query', { Feature: 'serve' });
  expect(serve.body).toEqual({ complete: true, text: '' });
});
