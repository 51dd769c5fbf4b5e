import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Place } from './lab.ts';
import type { StockClient } from './stock-client.ts';
import { describeNetwork } from './suite.ts';
import { get, startWebServer } from './web-server.ts';

const nginx = '/usr/sbin/nginx';
const page = path.resolve(import.meta.dirname, '../../docs/explanation/coordination.md');
const open = { grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] };

/** The recipe, word for word as people read it. */
async function recipe(): Promise<string> {
  const found = /```nginx\n([\s\S]*?)```/.exec(await readFile(page, 'utf8'))?.[1];
  if (found === undefined) throw new Error('the page has no recipe');
  return found;
}

/** Starts nginx with the recipe at the address of a place; the certificate that clients must trust. */
async function startNginx(place: Place): Promise<string> {
  const folder = path.join(place.folder, 'nginx');
  await mkdir(folder, { recursive: true });
  const certificate = path.join(folder, 'cert.pem');
  const key = path.join(folder, 'key.pem');
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2';
  await promisify(execFile)('openssl', [
    ...request.split(' '),
    '-subj',
    '/CN=vpn',
    '-keyout',
    key,
    '-out',
    certificate,
    '-addext',
    `subjectAltName=IP:${place.address}`,
  ]);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${folder}/${name};`,
  );
  const config = `daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events {}
http {
  access_log off;
${temporary.join('\n')}
  server {
    listen ${place.address}:443 ssl;
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
${await recipe()}
  }
}
`;
  const file = path.join(folder, 'nginx.conf');
  await writeFile(file, config);
  place.start([nginx, '-p', folder, '-c', file, '-g', 'user root;']);
  for (let i = 0; i < 100; i += 1) {
    const url = `https://${place.address}/health`;
    const said = await place.run(['curl', '-s', '-m', '2', '--cacert', certificate, url]);
    if (said.out.includes('ok')) return certificate;
    await sleep(50);
  }
  const log = await readFile(path.join(folder, 'error.log'), 'utf8').catch(String);
  throw new Error(`nginx does not serve: ${log}`);
}

const proxied = {
  isProxied: true,
  engine: { tls: 'proxy' },
  config: { trustedProxies: ['127.0.0.1'] },
} as const;

const isThere = existsSync(nginx);

describe.skipIf(!isThere)(isThere ? 'nginx' : 'nginx (skipped: not installed)', () => {
  describeNetwork('behind nginx as the documentation says', proxied, (network) => {
    let a: StockClient;
    let b: StockClient;

    beforeAll(async () => {
      const { server, lab } = network();
      await server.applyPolicy(open);
      const certificate = await startNginx(lab.hub);
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
