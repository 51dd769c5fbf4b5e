import { beforeAll, describe, expect, test } from 'vitest';
import { noNginx, recipe, startNginx } from './nginx.ts';
import type { StockClient } from './stock-client.ts';
import { describeNetwork } from './suite.ts';
import { get, startWebServer } from './web-server.ts';

const open = { grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] };

const proxied = {
  isProxied: true,
  engine: { tls: 'proxy' },
  config: { trustedProxies: ['127.0.0.1'] },
} as const;

describe.skipIf(noNginx !== '')(`nginx ${noNginx}`, () => {
  describeNetwork('behind nginx as the documentation says', proxied, (network) => {
    let a: StockClient;
    let b: StockClient;

    beforeAll(async () => {
      const { server, lab } = network();
      await server.applyPolicy(open);
      const certificate = await startNginx(lab.hub, {
        server: await recipe('explanation/coordination.md'),
      });
      const env = { SSL_CERT_FILE: certificate };
      [a, b] = await Promise.all([
        network().join('a', { env }),
        network().join('b', { env, isYearOld: true }),
      ]);
      await startWebServer(b.place, 80, 'b says');
    }, 120_000);

    test('stock clients join, follow their map and reach each other', async () => {
      expect(await network().server.streams()).toBe(2);
      await expect.poll(() => get(a.place, 'http://b/'), { timeout: 15_000 }).toContain('b says');
    });

    test('changes arrive on the open stream at once', async () => {
      const { server } = network();
      const id = (await b.status()).Self.ID;
      await server.renameNode(id, 'renamed');
      const isSeen = async (): Promise<boolean> => (await a.peer('renamed')) !== undefined;
      await expect.poll(isSeen, { timeout: 3_000, interval: 50 }).toBe(true);
    });

    test('the relay works over the same port', async () => {
      const checked = await a.cli(['debug', 'derp', '900'], 30_000);
      const said = JSON.parse(checked.out) as { readonly Errors: readonly string[] | null };
      // This tool takes the mark of "no IPv6 here" for a name; clients do not.
      expect((said.Errors ?? []).filter((each) => !each.includes('over IPv6'))).toEqual([]);
      expect(checked.out).toContain('Successfully established a DERP connection');
    });
  });
});
