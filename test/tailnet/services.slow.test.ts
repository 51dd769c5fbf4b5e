import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startAuthority } from './authority.ts';
import type { Said } from './lab.ts';
import { programs } from './programs.ts';
import type { StockClient } from './stock-client.ts';
import { describeNetwork } from './suite.ts';

const pebble = await programs('pebble');
const folder = mkdtempSync(path.join(tmpdir(), 'pa-'));
const records = path.join(folder, 'records');
const append =
  'require("fs").appendFileSync(process.argv[1], process.argv.slice(2).join(" ") + "\\n")';
const baseDomain = 'net.example.org';

describeNetwork(
  'what machines ask for besides their map',
  {
    engine: {
      baseDomain,
      certificateHook: [process.execPath, '-e', append, '--', records],
    },
  },
  (network) => {
    let a: StockClient;

    beforeAll(async () => {
      const { lab, server } = network();
      await server.applyPolicy({ grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] });
      const env: Record<string, string> = {};
      if (pebble.found) {
        const authority = await startAuthority(lab.hub, { programs: pebble.folder, folder });
        env['TS_DEBUG_ACME_DIRECTORY_URL'] = authority.directory;
        env['SSL_CERT_FILE'] = authority.certificate;
      }
      a = await network().join('web', { env });
    }, 120_000);
    afterAll(() => rm(folder, { recursive: true, force: true }));

    const wip = (...words: string[]): Promise<Said> =>
      a.place.run(['env', 'TAILSCALE_USE_WIP_CODE=1', ...a.command(words)]);

    test('an id-token verifies by the keys that the server publishes', async () => {
      const said = await wip('id-token', 'sts.example.com');
      expect(said.code, said.err).toBe(0);
      const [head = '', claims = '', signature = ''] = said.out.trim().split('.');
      const { url } = network().server;
      const page = await a.place.must(['curl', '-sf', `${url}/.well-known/jwks.json`]);
      const { keys } = JSON.parse(page) as { keys: [Record<string, string>] };
      const key = createPublicKey({ format: 'jwk', key: keys[0] });
      const signed = Buffer.from(`${head}.${claims}`, 'ascii');
      const ieee = { key, dsaEncoding: 'ieee-p1363' } as const;
      expect(verify('sha256', signed, ieee, Buffer.from(signature, 'base64url'))).toBe(true);
      const { ID } = (await a.status()).Self;
      expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
        iss: url,
        aud: 'sts.example.com',
        sub: ID,
        node: `web.${baseDomain}`,
        user: `${baseDomain}:alice@example.com`,
      });
    });

    describe.skipIf(!pebble.found)(
      pebble.found ? 'certificates' : `certificates (skipped: ${pebble.why})`,
      () => {
        test('a machine gets one for its own name from an authority that looks the record up', async () => {
          const out = path.join(a.place.folder, 'web.crt');
          const words = ['--cert-file', out, '--key-file', `${out}.key`, `web.${baseDomain}`];
          const said = await a.cli(['cert', ...words], 60_000);
          expect(said.code, `${said.err}${said.out}${a.tail()}`).toBe(0);
          const certificate = new X509Certificate(await readFile(out));
          expect(certificate.subjectAltName).toBe(`DNS:web.${baseDomain}`);
          expect(await readFile(records, 'utf8')).toMatch(
            new RegExp(`^_acme-challenge\\.web\\.${baseDomain.replaceAll('.', '\\.')} [\\w-]+\\n$`),
          );
        });

        test('it gets none for the name of another machine', async () => {
          const said = await a.cli(['cert', `other.${baseDomain}`], 30_000);
          expect(said.code).not.toBe(0);
          expect(said.err).toContain('other.net.example.org');
        });
      },
    );

    test('tailnet lock says in a sentence that it is not there', async () => {
      const status = await a.cli(['lock', 'status']);
      expect(status.out).toMatch(/lock is NOT enabled/i);
      const key = /tlpub:[0-9a-f]+/.exec(status.out)?.[0] ?? '';
      const said = await a.cli(['lock', 'init', '--gen-disablements=1', '--confirm', key]);
      // The client's own words for a network that does not offer it.
      expect(said).toMatchObject({ code: 1 });
      expect(said.err).toMatch(/Tailnet Lock is not supported/);
    });

    test('funnel says in a sentence that it is not there', async () => {
      const said = await a.cli(['funnel', '--bg', '8080'], 10_000);
      expect(`${said.out}${said.err}`).toContain('Funnel is not available: this network has no');
    });
  },
);
