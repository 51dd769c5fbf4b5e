import { beforeAll, expect, test } from 'vitest';
import type { StockClient } from './stock-client.ts';
import { describeNetwork } from './suite.ts';
import { get, startWebServer } from './web-server.ts';

const policy = {
  postures: { 'posture:recent': ["node:tsVersion >= '1.95'", "node:os == 'linux'"] },
  grants: [
    { src: ['autogroup:member'], srcPosture: ['posture:recent'], dst: ['tag:web'], ip: ['tcp:80'] },
    { src: ['autogroup:member'], dst: ['tag:web'], ip: ['tcp:81'] },
  ],
  tagOwners: { 'tag:web': [] },
  nodeAttrs: [
    { target: ['alice@example.com'], attr: ['example:blue'] },
    { target: ['tag:web'], app: { 'example.com/cap/logging': [{ level: 'debug' }] } },
  ],
};

interface SelfCaps {
  readonly Self: { readonly CapMap?: Readonly<Record<string, unknown>> };
}

describeNetwork('what a machine is', {}, (network) => {
  let now: StockClient;
  let old: StockClient;
  let web: StockClient;

  beforeAll(async () => {
    await network().server.applyPolicy(policy);
    [now, old, web] = await Promise.all([
      network().join('now', { key: { login: 'alice@example.com' } }),
      network().join('old', { key: { login: 'bob@example.com' }, isYearOld: true }),
      network().join('web', { key: { tags: ['tag:web'] } }),
    ]);
    await startWebServer(web.place, 80, 'web says');
    await startWebServer(web.place, 81, 'web also says');
  }, 120_000);

  test('a posture lets a recent client in and an older one not, as each reports itself', async () => {
    for (const client of [now, old]) {
      await expect
        .poll(() => get(client.place, 'http://web:81/', 2), { timeout: 15_000 })
        .toContain('web also says');
    }
    expect(await get(now.place, 'http://web/')).toContain('web says');
    expect(await get(old.place, 'http://web/', 2)).toContain('failed');
  });

  test('attributes of nodes arrive where the policy puts them, and nowhere else', async () => {
    const caps = async (client: StockClient): Promise<SelfCaps['Self']['CapMap']> => {
      const status = JSON.parse((await client.cli(['status', '--json'])).out) as SelfCaps;
      return status.Self.CapMap;
    };
    expect(await caps(now)).toHaveProperty('example:blue');
    expect(await caps(old)).not.toHaveProperty('example:blue');
    expect(await caps(web)).toMatchObject({ 'example.com/cap/logging': [{ level: 'debug' }] });
  });

  test('an attribute that is taken away is gone from a connected client', async () => {
    await network().server.applyPolicy({ ...policy, nodeAttrs: [] });
    const hasIt = async (): Promise<boolean> =>
      (await now.cli(['status', '--json'])).out.includes('example:blue');
    await expect.poll(hasIt, { timeout: 5_000 }).toBe(false);
  });
});
