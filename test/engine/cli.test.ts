/** The commands about the network where others run the engine: a whole Postern against the recorded API. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { startGateway } from '../conformance/gateway.ts';
import { cli, newFolder } from '../e2e/process.ts';
import type { TailscaleApi } from '../fakes/tailscale-api.ts';
import { startTailscaleApi } from '../fakes/tailscale-api.ts';

let api: TailscaleApi;
let net: TestGateway;

beforeAll(async () => {
  api = await startTailscaleApi();
  net = await startGateway({
    config: { engine: { kind: 'tailscale', join: 'off', tailscale: { url: api.url } } },
    env: { TS_API_KEY: api.key },
  });
});
afterAll(async () => {
  await net.stop();
  await api.close();
});

const run = (...words: string[]) => cli(words, { stateDir: net.stateDir });
const json = async (...words: string[]): Promise<unknown> => {
  const { code, out, err } = await run(...words, '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
};

describe('with an engine that others run', () => {
  test('status says which, what it can do, and that its policy is its own', async () => {
    const { out } = await run('network', 'status');
    expect(out).toMatch(/^engine +tailscale\n/);
    expect(out).toMatch(/at the engine +its own: none was applied here yet/);
    expect(await json('network', 'status')).toMatchObject({
      running: true,
      engine: { kind: 'tailscale', api: 'v2', policy: { state: 'none' } },
    });
  });

  test('keys, machines, tags, routes and names go through it, each with its audit line', async () => {
    const made = await run('network', 'key', 'create', '--tags', 'tag:ci');
    expect(made.err).toContain('--login-server=https://controlplane.tailscale.com');
    api.edit('{"tagOwners": {"tag:ci": [], "tag:gpu": []}, "grants": []}');
    api.join(made.out.trim(), { hostname: 'box', routes: ['10.7.0.0/24'] });
    expect((await run('node', 'list')).out).toMatch(/box +100\.70\.0\.1 +tag:ci/);
    await run('node', 'tag', 'box', 'tag:gpu');
    await run('node', 'routes', 'box', '--all');
    await run('node', 'rename', 'box', 'gpu-1');
    expect(await json('node', 'show', '100.70.0.1')).toMatchObject({
      name: 'gpu-1',
      tags: ['tag:gpu'],
      routes: { approved: ['10.7.0.0/24'] },
    });
    expect((await run('network', 'key', 'list')).code).toBe(0);
    expect((await run('network', 'user', 'list')).out).toContain('alice@example.com');
    expect((await run('network', 'user', 'role', 'alice@example.com', 'admin')).err).toMatch(
      /Tailscale cannot do this here|Roles are given/,
    );
    await run('network', 'dns', 'set', '--nameservers', '9.9.9.9');
    expect((await run('network', 'dns', 'show')).out).toContain('9.9.9.9');
    await run('node', 'delete', 'gpu-1');
    expect((await run('node', 'list')).out).not.toContain('gpu-1');
    // Records are shown once they are durable, which is a moment after the answer.
    const records = async (): Promise<string> => (await run('audit', 'query', '--json')).out;
    await expect.poll(records).toContain('engine.node.delete');
    const out = await records();
    for (const name of ['key.create', 'node.tag', 'node.routes', 'node.rename', 'node.delete']) {
      expect(out).toContain(`engine.${name}`);
    }
  });

  test('a policy is planned and applied there; a change behind our back stops the next one', async () => {
    const folder = await newFolder();
    const file = path.join(folder, 'policy.hujson');
    const policyOf = (port: number): string =>
      `{"tagOwners": {"tag:ci": []},\n  // who may what\n  "grants": [{"src": ["tag:ci"], "dst": ["tag:ci"], "ip": ["tcp:${port}"]}]}\n`;
    await writeFile(file, policyOf(22));
    const made = await run('network', 'key', 'create', '--tags', 'tag:ci');
    api.join(made.out.trim(), { hostname: 'runner' });
    const theirs = await run('policy', 'apply', file, '--confirm', '0');
    expect(theirs.code).not.toBe(0);
    expect(theirs.err).toMatch(/somebody else changed it there.*--over [0-9a-f]{64}/s);
    const etag = /--over ([0-9a-f]{64})/.exec(theirs.err)?.[1] ?? '';
    const planned = (await json('policy', 'plan', file, '--over', etag)) as {
      plan: { id: string };
    };
    await run('policy', 'approve', planned.plan.id);
    const applied = await run('policy', 'apply', '--plan', planned.plan.id, '--confirm', '0');
    expect(applied).toMatchObject({ code: 0, err: '' });
    expect((await run('network', 'policy')).out).toBe(policyOf(22));
    // Questions about it are asked by the names of machines that only the engine knows.
    const asked = ['policy', 'explain', '--from', 'runner', '--to', 'tag:ci', '--port'];
    expect((await run(...asked, 'tcp:22')).out).toMatch(/allowed[^]*runner/);
    expect((await run(...asked, 'tcp:23')).out).toMatch(/denied/);
    expect(await json('network', 'status')).toMatchObject({
      engine: { policy: { state: 'same' } },
    });
    api.edit('{"grants": []}');
    await writeFile(file, policyOf(23));
    const stopped = await run('policy', 'plan', file);
    expect(stopped.err).toMatch(/somebody else changed it there/);
    expect((await run('network', 'policy')).err).toContain('Its etag:');
  });

  test('it is away, and comes back; its key is refused, and counts again', async () => {
    await api.close();
    const away = await run('node', 'list');
    expect(away.code).not.toBe(0);
    expect(away.err).toMatch(/Tailscale at http.* cannot be reached/);
    expect(await json('network', 'status')).toMatchObject({
      running: false,
      engine: { problem: expect.stringContaining('cannot be reached') },
    });
    await api.listen();
    expect((await run('node', 'list')).code).toBe(0);
    api.fail = { status: 401 };
    const refused = await run('node', 'list');
    expect(refused.err).toMatch(/refuses the credential.*TS_API_KEY/s);
    api.fail = undefined;
    expect((await run('node', 'list')).code).toBe(0);
  });
});

describe('postern network use', () => {
  const prepared = async (text: string): Promise<{ stateDir: string; file: string }> => {
    const stateDir = await newFolder();
    const file = path.join(stateDir, 'postern.hujson');
    await mkdir(stateDir, { recursive: true });
    await writeFile(file, text);
    return { stateDir, file };
  };

  test('asks the engine first, then changes one word of the file and keeps the rest', async () => {
    const { stateDir, file } = await prepared(
      '{\n  // ours\n  "defaultModel": "builtin/eliza",\n}\n',
    );
    const words = ['network', 'use', 'tailscale', '--url', api.url];
    const none = await cli(words, { stateDir });
    expect(none.err).toMatch(/TS_CLIENT_ID.*TS_API_KEY/s);
    const wrong = await cli(words, { stateDir, env: { TS_API_KEY: 'tskey-api-wrong' } });
    expect(wrong.err).toMatch(/refuses the credential.*Nothing was written/s);
    expect(await readFile(file, 'utf8')).not.toContain('tailscale');
    const env = { TS_API_KEY: api.key };
    const used = await cli(words, { stateDir, env });
    expect(used).toMatchObject({ code: 0, err: '' });
    const text = await readFile(file, 'utf8');
    expect(text).toContain('// ours');
    expect(text).toContain('"tailscale"');
    expect((await cli(words, { stateDir, env })).out).toContain('says so already');
    const back = ['network', 'use', 'embedded', '--url', 'http://127.0.0.1:8090'];
    expect((await cli(back, { stateDir })).code).toBe(0);
    expect(await readFile(file, 'utf8')).toMatch(/"kind": *"embedded"/);
  });

  test('a configuration of Headscale is printed and written, and a wrong one refused', async () => {
    const folder = await newFolder();
    const words = ['network', 'config', 'headscale', '--url', 'https://vpn.example.com'];
    expect((await cli(words)).out).toContain('mode: database');
    const out = path.join(folder, 'hs');
    const written = await cli([...words, '--relay', 'file', '--out', out]);
    expect(written.err).toContain('derp.yaml');
    expect(await readFile(path.join(out, 'config.yaml'), 'utf8')).toContain('server_url');
    const inside = await cli([...words, '--base-domain', 'example.com']);
    expect(inside).toMatchObject({ code: 2, err: expect.stringContaining('inside the names') });
    const ours = await cli([...words, '--ipv4', '100.128.0.0/10']);
    expect(ours.err).toContain('outside of 100.64.0.0/10');
  });
});
