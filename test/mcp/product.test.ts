/** The admin listener of a whole Postern: real keys, real tokens, the real log. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { startGateway, waitFor } from '../conformance/gateway.ts';
import { cli } from '../e2e/process.ts';
import { connectAgent, modern, send, toolCall } from './agent.ts';

const issuer = 'https://issuer.example';
const policy = `{"tagOwners": {"tag:ops": [], "tag:gateway": []}, "grants": [
  {"src": ["tag:ops", "alice@example.com"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/admin": [{"tools": ["*"]}]}}]}`;

let gateway: TestGateway;
let port = 0;
let folder = '';
let sign: (claims: { aud?: string; iss?: string; life?: string }) => Promise<string>;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'postern-mcp-'));
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const jwksFile = path.join(folder, 'jwks.json');
  await writeFile(jwksFile, JSON.stringify({ keys: [jwk] }));
  sign = ({ aud = 'postern', iss = issuer, life = '5m' }) =>
    new SignJWT({ email: 'alice@example.com', email_verified: true })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(iss)
      .setAudience(aud)
      .setSubject('alice')
      .setIssuedAt(life.startsWith('-') ? '-10m' : undefined)
      .setExpirationTime(life)
      .sign(privateKey);
  gateway = await startGateway({
    config: {
      identities: {
        issuers: [{ issuer, audience: ['postern'], algorithms: ['ES256'], jwksFile }],
        map: [
          { issuer, claim: 'email', value: 'alice@example.com', as: ['alice@example.com'] },
          { key: '*', as: ['tag:ops'] },
        ],
      },
    },
    policy,
  });
  port = Number(gateway.address('admin').split(':').at(-1));
});
afterAll(async () => {
  await gateway.stop();
  await rm(folder, { recursive: true, force: true });
});

const list = (who: string) => send(port, modern('tools/list', {}, { who }));

describe('who comes in', () => {
  test('a token that is for us, of an issuer of ours, and has not ended', async () => {
    const { status, json } = await list(await sign({}));
    expect(status, JSON.stringify(json)).toBe(200);
    expect(json.result.tools.length).toBeGreaterThan(10);
  });

  test.each([
    ['for somebody else', { aud: 'other' }],
    ['of another issuer', { iss: 'https://evil.example' }],
    ['that has ended', { life: '-5m' }],
  ])('no token %s', async (_, claims) => {
    const { status, headers } = await list(await sign(claims));
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toContain('/.well-known/oauth-protected-resource/mcp');
  });

  test('no token without a signature, and none in the query', async () => {
    const bare = new UnsecuredJWT({ email: 'alice@example.com', email_verified: true })
      .setIssuer(issuer)
      .setAudience('postern')
      .setSubject('alice')
      .setExpirationTime('5m')
      .encode();
    expect((await list(bare)).status).toBe(401);
    const request = modern('tools/list', {});
    const { authorization: _, ...headers } = request.headers ?? {};
    const token = await sign({});
    const queried = await send(port, { ...request, headers, path: `/mcp?access_token=${token}` });
    expect(queried.status).toBe(401);
  });

  test('a key for administration, and no other key', async () => {
    const admin = await gateway.key('admin', { admin: true });
    const plain = await gateway.key('plain');
    expect((await list(admin)).status).toBe(200);
    expect((await list(plain)).status).toBe(403);
    expect((await list('pst_000000000000000000000000000000000000')).status).toBe(401);
  });

  test('nobody on the listener of the gateway', async () => {
    const answer = await send(gateway.port, modern('tools/list', {}, { who: await sign({}) }));
    expect(answer.status).toBe(404);
  });
});

test('a policy is not confirmed over the connection that applied it, and a client needs not know', async () => {
  const key = await gateway.key('applier', { admin: true });
  const agent = await connectAgent(`http://${gateway.address('admin')}/mcp`, {
    who: key,
    person: () => 'yes',
  });
  const { value: now } = await agent.call('get_acl_policy');
  const ops = [{ op: 'add', path: '/hosts', value: { spare: '100.64.9.9' } }];
  const planned = await agent.call('plan_policy_change', { base_etag: now.etag, ops });
  const applied = await agent.call('update_acl_policy', { plan_id: planned.value.plan_id });
  expect(applied.isError, JSON.stringify(applied.value)).toBe(false);
  const confirmed = await agent.call('confirm_policy_change', { digest: applied.value.digest });
  expect(confirmed.isError, JSON.stringify(confirmed.value)).toBe(false);
  await agent.close();
});

test('the connection of a call that applies ends with its answer, and of others not', async () => {
  const key = await gateway.key('kept', { admin: true });
  const kept = new http.Agent({ keepAlive: true });
  const connectionAfter = (name: string, args: Record<string, unknown>) =>
    new Promise<string | undefined>((resolve, reject) => {
      const { headers, body } = toolCall(name, args, { who: key });
      const options = {
        port,
        host: '127.0.0.1',
        path: '/mcp',
        method: 'POST',
        headers,
        agent: kept,
      };
      const request = http.request(options, (response) => {
        response.resume().on('end', () => resolve(response.headers.connection));
      });
      request.on('error', reject).end(JSON.stringify(body));
    });
  expect(await connectionAfter('list_devices', {})).not.toBe('close');
  expect(await connectionAfter('update_acl_policy', { plan_id: 'plan_x' })).toBe('close');
  kept.destroy();
});

test('what nobody confirms is taken back', async () => {
  const key = await gateway.key('forgetful', { admin: true });
  const agent = await connectAgent(`http://${gateway.address('admin')}/mcp`, {
    who: key,
    person: () => 'yes',
  });
  const { value: now } = await agent.call('get_acl_policy');
  const ops = [{ op: 'add', path: '/hosts/other', value: '100.64.9.8' }];
  const planned = await agent.call('plan_policy_change', { base_etag: now.etag, ops });
  const applied = await agent.call('update_acl_policy', { plan_id: planned.value.plan_id });
  const rolled = await agent.call('rollback_policy_change', { digest: applied.value.digest });
  expect(rolled.isError, JSON.stringify(rolled.value)).toBe(false);
  expect((await agent.call('get_acl_policy')).value.etag).toBe(now.etag);
  // One that was confirmed is taken back by a person alone.
  const again = await agent.call('rollback_policy_change', { digest: now.etag });
  expect(again.value.error.code).toBe('access_denied');
  await agent.close();
});

/** What a tool that is not there is in the log. */
const unknownTool = `sha256:${createHash('sha256').update('no_such_tool').digest('hex').slice(0, 16)}`;

test('the log has every call, once, and shows who changed a record of it', async () => {
  const key = await gateway.key('recorded', { admin: true });
  await send(port, toolCall('list_devices', {}, { who: key }));
  await send(port, toolCall('no_such_tool', {}, { who: key }));
  const records = await waitFor(() => {
    const file = path.join(gateway.stateDir, 'audit', '00000000000000000001.log');
    const lines = readFileSync(file, 'utf8').split('\n');
    const calls = lines.filter((line) => line.includes('"kind":"tool"'));
    return calls.some((line) => line.includes(unknownTool)) ? calls : undefined;
  });
  const ids = records.map((line) => /"request_id":"(\w+)"/.exec(line)?.[1]);
  expect(new Set(ids).size).toBe(ids.length);
  expect(records.join('\n')).not.toContain(key);
  const run = (dir: string) =>
    cli(['audit', 'verify', '--dir', dir], { stateDir: gateway.stateDir });
  const copy = path.join(folder, 'audit');
  await cp(path.join(gateway.stateDir, 'audit'), copy, { recursive: true });
  expect((await run(copy)).code).toBe(0);
  const file = path.join(copy, '00000000000000000001.log');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace(`"tool":"${unknownTool}"`, '"tool":"list_devices"'));
  expect((await run(copy)).code).not.toBe(0);
});
