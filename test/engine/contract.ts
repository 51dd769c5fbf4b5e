import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  EngineCapability,
  NetworkEngine,
} from '../../packages/server/src/control/engine/index.ts';
import { engineCapabilities } from '../../packages/server/src/control/engine/index.ts';

/** An engine with what a test needs beside it. */
export interface EngineUnderTest {
  readonly engine: NetworkEngine;
  /** A person that the engine knows. */
  readonly login: string;
  /** A machine joins by a key; resolves when the engine knows what it offers to route. */
  join(key: string, machine: { hostname: string; routes?: string[] }): Promise<void>;
  /** Somebody else changes the policy, past this port. */
  edit(text: string): Promise<void>;
  close(): Promise<void>;
}

const hourMs = 3_600_000;
const policyOf = (ports: string): string => `// who may what
{
  "tagOwners": {"tag:ci": [], "tag:gpu": []},
  "grants": [
    {"src": ["tag:ci"], "dst": ["tag:gpu"], "ip": ["${ports}"]}, // comments stay
  ],
}
`;

export function value<T>(result: Result<T, Refusal>): T {
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

function codeOf(result: Result<unknown, Refusal>): string {
  return result.ok ? 'ok' : result.error.code;
}

/** What every engine promises, whoever wrote it; what one cannot do is refused by name. */
export function describeEngine(name: string, start: () => Promise<EngineUnderTest>): void {
  describe(`the engine port: ${name}`, () => {
    let under: EngineUnderTest;
    let engine: NetworkEngine;
    beforeAll(async () => {
      under = await start();
      ({ engine } = under);
      const { etag } = value(await engine.getPolicy());
      value(await engine.setPolicy(policyOf('tcp:22'), etag));
    }, 60_000);
    afterAll(() => under.close());

    const can = (capability: EngineCapability): boolean => engine.capabilities.has(capability);
    const keyFor = async (more: Partial<Parameters<NetworkEngine['createAuthKey']>[0]> = {}) =>
      value(
        await engine.createAuthKey({
          reusable: false,
          ephemeral: false,
          preauthorized: true,
          tags: ['tag:ci'],
          lifeMs: hourMs,
          ...more,
        }),
      );
    const joined = async (hostname: string, routes?: string[]) => {
      const { key } = await keyFor();
      await under.join(key.reveal(), { hostname, ...(routes === undefined ? {} : { routes }) });
      const found = value(await engine.listDevices()).find((each) => each.hostname === hostname);
      if (found === undefined) throw new Error(`${hostname} is not listed`);
      return found;
    };

    test('says who answers, and what it can do in words that exist', async () => {
      const facts = value(await engine.look());
      expect(['journal', 'v1', 'v2']).toContain(facts.api);
      expect(engine.url).toMatch(/^https?:\/\//);
      for (const each of engine.capabilities) expect(engineCapabilities[each]).toBeTypeOf('string');
    });

    test('makes keys that are shown once, listed without their secret, and revoked', async () => {
      const before = Date.now();
      const made = await keyFor({ ephemeral: true, description: 'a test (2)' });
      expect(made.key.reveal().length).toBeGreaterThan(20);
      expect(Math.abs(made.expiresAtMs - before - hourMs)).toBeLessThan(60_000);
      const listed = value(await engine.listAuthKeys()).find(({ id }) => id === made.id);
      expect(listed).toMatchObject({ reusable: false, ephemeral: true, tags: ['tag:ci'] });
      expect(JSON.stringify(listed)).not.toContain(made.key.reveal());
      expect(listed?.invalid).toBe(false);
      expect(value(await engine.getAuthKey(made.id))).toEqual(listed);
      value(await engine.revokeAuthKey(made.id));
      const after = value(await engine.listAuthKeys()).find(({ id }) => id === made.id);
      expect(after === undefined || after.invalid).toBe(true);
      await expect(under.join(made.key.reveal(), { hostname: 'late' })).rejects.toThrow();
      expect(codeOf(await engine.getAuthKey('987654321'))).toBe('not_found');
    });

    test('a key that would let a machine wait is made where machines can wait, else refused', async () => {
      const asked = await engine.createAuthKey({
        reusable: false,
        ephemeral: false,
        preauthorized: false,
        tags: ['tag:ci'],
        lifeMs: hourMs,
      });
      expect(codeOf(asked)).toBe(can('approval') ? 'ok' : 'conflict');
    });

    test('keys of a person make machines of that person, where there are such keys', async () => {
      const asked = await engine.createAuthKey({
        reusable: false,
        ephemeral: false,
        preauthorized: true,
        tags: [],
        lifeMs: hourMs,
        login: under.login,
      });
      if (!can('user-keys')) return expect(codeOf(asked)).toBe('conflict');
      await under.join(value(asked).key.reveal(), { hostname: 'personal' });
      const found = value(await engine.listDevices()).find((each) => each.hostname === 'personal');
      expect(found).toMatchObject({ user: under.login, tags: [] });
      expect(value(await engine.listUsers())).toContainEqual(
        expect.objectContaining({ login: under.login, devices: 1 }),
      );
    });

    test('machines are listed with what they are, and one by its id', async () => {
      const device = await joined('runner');
      expect(device).toMatchObject({ name: 'runner', tags: ['tag:ci'], authorized: true });
      expect(device.user).toBeUndefined();
      expect(device.addresses.map((each) => each.includes(':'))).toEqual([false, true]);
      expect(device.nodeKey).toMatch(/^nodekey:[0-9a-f]{64}$/);
      expect(value(await engine.getDevice(device.id))).toMatchObject({
        id: device.id,
        addresses: device.addresses,
      });
    });

    test('names, tags and routes of a machine are changed', async () => {
      const device = await joined('router', ['10.9.0.0/24', '10.8.0.0/24']);
      expect(device.advertisedRoutes.toSorted()).toEqual(['10.8.0.0/24', '10.9.0.0/24']);
      expect(device.enabledRoutes).toEqual([]);
      value(await engine.setRoutes(device.id, ['10.9.0.0/24']));
      value(await engine.rename(device.id, 'edge'));
      value(await engine.setTags(device.id, ['tag:gpu']));
      expect(value(await engine.getDevice(device.id))).toMatchObject({
        name: 'edge',
        hostname: 'router',
        tags: ['tag:gpu'],
        enabledRoutes: ['10.9.0.0/24'],
      });
      value(await engine.setRoutes(device.id, []));
      expect(value(await engine.getDevice(device.id)).enabledRoutes).toEqual([]);
    });

    test('the key of a machine is ended, and a machine is forgotten', async () => {
      const device = await joined('leaver');
      value(await engine.expireKey(device.id));
      const { expiresAtMs = Number.POSITIVE_INFINITY } = value(await engine.getDevice(device.id));
      expect(expiresAtMs).toBeLessThanOrEqual(Date.now() + 1_000);
      value(await engine.deleteDevice(device.id));
      expect(codeOf(await engine.getDevice(device.id))).toBe('not_found');
      expect(codeOf(await engine.deleteDevice(device.id))).toBe('not_found');
      expect(codeOf(await engine.setTags('424242', ['tag:ci']))).toBe('not_found');
    });

    test('a policy keeps its comments, and is written only over the one that was read', async () => {
      const before = value(await engine.getPolicy());
      const [one, two] = [policyOf('tcp:443'), policyOf('tcp:8443')];
      const set = value(await engine.setPolicy(one, before.etag));
      const read = value(await engine.getPolicy());
      expect(read).toEqual({ text: one, etag: set.etag });
      expect(codeOf(await engine.setPolicy(two, before.etag))).toBe('conflict');
      expect(value(await engine.getPolicy()).text).toBe(one);
      await under.edit(two);
      expect(codeOf(await engine.setPolicy(policyOf('tcp:1'), set.etag))).toBe('conflict');
      expect(value(await engine.getPolicy()).text).toBe(two);
    });

    test('of two writers with the same etag one loses', async () => {
      const { etag } = value(await engine.getPolicy());
      const results = await Promise.all([
        engine.setPolicy(policyOf('tcp:1001'), etag),
        engine.setPolicy(policyOf('tcp:1002'), etag),
      ]);
      expect(results.map(codeOf).toSorted()).toEqual(['conflict', 'ok']);
    });

    test('a policy is judged without being applied; a wrong one is never written', async () => {
      const { text, etag } = value(await engine.getPolicy());
      expect(value(await engine.checkPolicy(policyOf('tcp:5000')))).toEqual([]);
      const wrong =
        '{"grants": [{"src": ["tag:ci"], "dst": ["tag:gpu"], "ip": ["tcp:22"]}], "x": 1';
      const said = value(await engine.checkPolicy(wrong));
      expect(said.join()).not.toBe('');
      expect(codeOf(await engine.setPolicy(wrong, etag))).toBe('invalid_request');
      expect(value(await engine.getPolicy())).toEqual({ text, etag });
    });

    test('a preview names the rules and their lines, where there are previews', async () => {
      const asked = await engine.previewPolicy({
        text: policyOf('tcp:9000'),
        type: 'user',
        for: 'tag:ci',
      });
      if (!can('policy-preview')) return expect(codeOf(asked)).toBe('conflict');
      expect(value(asked)).toEqual([
        { users: ['tag:ci'], ports: [expect.stringContaining('tag:gpu:')], line: 5 },
      ]);
    });

    test('names of machines and of others are read and changed, where the engine can', async () => {
      const asked = await engine.getDns();
      if (!can('dns-read')) return expect(codeOf(asked)).toBe('conflict');
      const before = value(asked);
      const dns = {
        ...before,
        nameservers: ['9.9.9.9'],
        searchDomains: ['corp.example'],
        splitDns: { 'corp.example': ['10.0.0.53'] },
      };
      value(await engine.setDns(dns));
      expect(value(await engine.getDns())).toEqual(dns);
      value(await engine.setDns(before));
      expect(value(await engine.getDns())).toEqual(before);
    });

    test('people and settings are read, where the engine tells them', async () => {
      expect(value(await engine.listUsers()).map(({ login }) => login)).toContain(under.login);
      const settings = await engine.getSettings();
      expect(codeOf(settings)).toBe(can('settings') ? 'ok' : 'conflict');
      const changed = await engine.setSettings({ keyDays: 90 });
      if (!can('settings-write')) return expect(codeOf(changed)).toBe('conflict');
      value(changed);
      expect(value(await engine.getSettings()).keyDays).toBe(90);
    });
  });
}
