import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { headscaleEngine } from '../../packages/server/src/adapters/engine-headscale/index.ts';
import { describeEngine, value } from './contract.ts';
import { HeadscaleServer, missingHeadscale } from './headscale-server.ts';
import { Machines, secretOf, surroundings } from './surroundings.ts';

const missing = await missingHeadscale();
const title = missing === undefined ? 'Headscale' : `Headscale (skipped: ${missing})`;

describe.skipIf(missing !== undefined)(title, () => {
  describeEngine('a real Headscale 0.29', async () => {
    const server = await HeadscaleServer.start();
    const around = surroundings();
    await server.command('users', 'create', 'alice', '-e', 'alice@example.com');
    const engine = engineOf(server, await server.apiKey(), around);
    const machines = new Machines(server.url);
    return {
      engine,
      login: 'alice@example.com',
      join: (key, machine) => machines.join(key, machine, engine),
      edit: async (text) => {
        const other = engineOf(server, await server.apiKey(), around);
        value(await other.setPolicy(text, value(await other.getPolicy()).etag));
      },
      close: async () => {
        machines.close();
        await around.close();
        await server.stop();
      },
    };
  });

  describe('when it is in trouble', () => {
    let server: HeadscaleServer;
    let around: ReturnType<typeof surroundings>;
    beforeAll(async () => {
      server = await HeadscaleServer.start();
      around = surroundings();
    }, 60_000);
    afterAll(async () => {
      await around.close();
      await server.stop();
    });

    test('the configuration that Postern writes passes its own check', async () => {
      await server.command('configtest');
    });

    test('a wrong, a revoked and an expired key are each refused with what to do', async () => {
      const made = await server.apiKey();
      const engine = engineOf(server, made, around);
      value(await engine.look());
      // `hskey-api-`, then a prefix of twelve characters, which may hold hyphens.
      await server.command('apikeys', 'expire', '--prefix', made.slice(10, 22));
      const expired = await server.apiKey('1s');
      await sleep(1_200);
      for (const key of ['hskey-api-abcdefghijkl-wrong', 'nonsense', made, expired]) {
        const asked = await engineOf(server, key, around).listDevices();
        expect(asked).toMatchObject({ ok: false, error: { code: 'upstream_credential' } });
        expect(asked.ok ? '' : asked.error.message).toMatch(
          /refuses the credential.*wrong, expired or revoked.*headscale apikeys create.*HEADSCALE_API_KEY/s,
        );
        expect(asked.ok ? '' : asked.error.message).not.toContain(key.slice(-8));
      }
    });

    test('a restart in the middle of a question is waited out, and a longer one is said', async () => {
      const engine = engineOf(server, await server.apiKey(), around);
      value(await engine.listDevices());
      await server.down();
      const up = new Promise<void>((resolve) => {
        setTimeout(() => void server.up().then(resolve), 300);
      });
      value(await engine.listDevices());
      await up;
      await server.down();
      const asked = await engine.listDevices();
      expect(asked).toMatchObject({ ok: false, error: { code: 'upstream_unavailable' } });
      expect(asked.ok ? '' : asked.error.message).toMatch(/cannot be reached.*Does it run/s);
      await server.up();
      value(await engine.listDevices());
    });

    test('a policy in a file cannot be written, and the sentence says how it can', async () => {
      const { readFile, writeFile } = await import('node:fs/promises');
      const text = await readFile(server.config, 'utf8');
      const file = `${server.config}.policy`;
      await writeFile(file, '{"grants": []}');
      await writeFile(server.config, text.replace('mode: database', `mode: file\n  path: ${file}`));
      await server.down();
      await server.up();
      const engine = engineOf(server, await server.apiKey(), around);
      const { etag } = value(await engine.getPolicy());
      const set = await engine.setPolicy('{"grants": []}', etag);
      expect(set).toMatchObject({ ok: false, error: { code: 'conflict' } });
      expect(set.ok ? '' : set.error.message).toContain('policy.mode: database');
    });
  });
});

function engineOf(server: HeadscaleServer, key: string, around: ReturnType<typeof surroundings>) {
  return headscaleEngine({ ...around, url: new URL(server.url), key: secretOf(key) });
}
