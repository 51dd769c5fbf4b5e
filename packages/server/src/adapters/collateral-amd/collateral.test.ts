import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ok, utf8 } from '@postern/core/base';
import { vendorAnchors, verifySnpReport } from '@postern/core/attest';
import { nowMs as startMs } from '../../../../../test/attestation/simulated.ts';
import {
  certificatesOf,
  pins,
  reportOf,
  revocationListOf,
} from '../../../../../test/attestation/snp-pki.ts';
import type { Egress } from '../../http/index.ts';
import { nodeCrypto } from '../crypto-node/attest.ts';
import { AmdCollateralService, amdSubjects } from './index.ts';
import type { AmdCollateralOptions } from './index.ts';

const hourMs = 3_600_000;
const report = reportOf({ version: 2 });
const [vcek = new Uint8Array(), ask = new Uint8Array(), ark = new Uint8Array()] = certificatesOf();
const chipPath = `/vcek/v1/Milan/${'07'.repeat(64)}`;
const chipFile = `vcek-Milan-${'07'.repeat(64)}-04000000000017d5.der`;

function pem(...certificates: readonly Uint8Array[]): Uint8Array {
  const block = (der: Uint8Array): string => {
    const lines =
      Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/gu) ?? [];
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
  };
  return utf8(certificates.map(block).join(''));
}

let folder = '';
let nowMs = startMs;
let asked: URL[] = [];
let published: Record<string, Uint8Array> = {};

beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'collateral-')), 'amd');
  nowMs = startMs;
  asked = [];
  published = {
    '/vcek/v1/Milan/cert_chain': pem(ask, ark),
    '/vcek/v1/Milan/crl': revocationListOf([], startMs + 8 * hourMs),
    [chipPath]: vcek,
  };
});
afterEach(() => rm(path.dirname(folder), { recursive: true }));

/** AMD's service over a way out that goes nowhere. */
const egress: Egress = ({ url }) => {
  asked.push(url);
  const body = published[url.pathname];
  const bytes = body ?? new Uint8Array();
  return Promise.resolve(
    ok({
      status: body === undefined ? 404 : 200,
      headers: {},
      body: (async function* () {
        yield await Promise.resolve(bytes);
      })(),
      failure: () => undefined,
      readAll: () => Promise.resolve(ok(bytes)),
      cancel: () => undefined,
    }),
  );
};

function service(changes: Partial<AmdCollateralOptions> = {}): AmdCollateralService {
  return new AmdCollateralService({
    folder,
    crypto: nodeCrypto,
    pins,
    nowMs: () => nowMs,
    egress,
    ...changes,
  });
}

const offline = { egress: undefined };
const code = (result: { ok: boolean; error?: { code: string } }): string | undefined =>
  result.error?.code;

describe('fetching', () => {
  test('asks AMD for chain, chip certificate and list, and they verify the report', async () => {
    const found = await service().get(report);
    expect(asked.map(String)).toEqual([
      'https://kdsintf.amd.com/vcek/v1/Milan/cert_chain',
      `https://kdsintf.amd.com${chipPath}?blSPL=4&teeSPL=0&snpSPL=23&ucodeSPL=213`,
      'https://kdsintf.amd.com/vcek/v1/Milan/crl',
    ]);
    if (!found.ok) throw new Error(found.error.code);
    const { certificates, revocationList = new Uint8Array() } = found.value;
    const context = { crypto: nodeCrypto, pins, nowMs, certificates, revocationList };
    expect(verifySnpReport(report, context)).toMatchObject({ crypto: 'valid', findings: [] });
  });

  test('happens once for everybody who waits, and not again for what is stored', async () => {
    const one = service();
    await Promise.all(Array.from({ length: 8 }, () => one.get(report)));
    expect(asked).toHaveLength(3);
    expect((await service(offline).get(report)).ok).toBe(true);
    expect(await service(offline).stored(report)).toMatchObject({
      certificates: [vcek, pem(ask, ark)],
    });
  });

  test('keeps files for their owner alone', async () => {
    await service().get(report);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    const names = await readdir(folder);
    expect(names.toSorted()).toEqual(
      ['vcek-Milan-chain.pem', 'vcek-Milan.crl', chipFile].toSorted(),
    );
    for (const name of names) {
      expect((await stat(path.join(folder, name))).mode & 0o777).toBe(0o600);
    }
  });

  test('stores nothing that the pinned root does not vouch for', async () => {
    expect(code(await service({ pins: new Set() }).get(report))).toBeDefined();
    expect(await readdir(folder).catch(() => [])).toEqual([]);
  });

  test.each([
    ['of another chip', { chipId: new Uint8Array(64).fill(8) }],
    ['of another patch level', { versions: { '3.3': 22 } }],
    ['from the other intermediate', { kind: 'VLEK' }],
  ] as const)('refuses a chip certificate %s', async (_, options) => {
    const [other = new Uint8Array()] = certificatesOf(options);
    published[chipPath] = other;
    expect((await service().get(report)).ok).toBe(false);
    expect(await readdir(folder)).not.toContain(chipFile);
  });

  test('waits longer after every failure', async () => {
    published = {};
    const one = service();
    const attempts = async (afterMs: number): Promise<number> => {
      asked = [];
      nowMs += afterMs;
      await one.get(report);
      return asked.filter(({ pathname }) => pathname.includes('Milan')).length;
    };
    expect(await attempts(0)).toBe(1);
    expect(await attempts(59_999)).toBe(0);
    expect(await attempts(1)).toBe(1);
    expect(await attempts(60_000)).toBe(0);
    expect(await attempts(60_000)).toBe(1);
  });
});

describe('what is stored', () => {
  test('counts no more once somebody changed it', async () => {
    await service().get(report);
    await writeFile(path.join(folder, chipFile), ask);
    expect(await service(offline).stored(report)).toBeUndefined();
  });

  test('lists are renewed ahead of their end, the last good one stays while AMD is down', async () => {
    await service().get(report);
    asked = [];
    expect(await service().refreshDue()).toEqual([]);
    expect(asked).toEqual([]);
    nowMs += 7 * hourMs;
    const list = published['/vcek/v1/Milan/crl'];
    published = {};
    expect(await service().refreshDue()).toMatchObject([{ code: 'collateral_missing' }]);
    expect((await service(offline).stored(report))?.revocationList).toEqual(list);
    const next = revocationListOf([2], nowMs + 8 * hourMs);
    published = { '/vcek/v1/Milan/crl': next };
    expect(await service().refreshDue()).toEqual([]);
    expect((await service(offline).stored(report))?.revocationList).toEqual(next);
  });

  test('a list past its end does not count as no list: the verifier says that it ended', async () => {
    await service().get(report);
    nowMs += 8 * hourMs + 1;
    const { certificates = [], revocationList = new Uint8Array() } =
      (await service(offline).stored(report)) ?? {};
    const context = { crypto: nodeCrypto, pins, nowMs, certificates, revocationList };
    expect(verifySnpReport(report, context).findings).toMatchObject([{ code: 'crl_expired' }]);
  });
});

test('nothing goes back to an older list', async () => {
  // Signatures are taken as they are here, so that a list can be made a year older in place.
  const crypto = { ...nodeCrypto, verifyRsaPss: () => true };
  const one = service({ crypto });
  await one.get(report);
  const newer = published['/vcek/v1/Milan/crl'] ?? new Uint8Array();
  const year = new Date(startMs - 1000).getUTCFullYear() % 100;
  const text = Buffer.from(newer).toString('latin1');
  const stamp = new Date(startMs - 1000)
    .toISOString()
    .replaceAll(/[-:T]|\..*/gu, '')
    .slice(2);
  const older = text.replace(stamp, `${year - 1}${stamp.slice(2)}`);
  expect(older).not.toBe(text);
  const outcome = await one.import(new Uint8Array(Buffer.from(older, 'latin1')));
  expect(code(outcome)).toBe('collateral_too_old');
  expect((await one.stored(report))?.revocationList).toEqual(newer);
});

describe('importing', () => {
  test('takes chain, list and chip certificate in a closed network', async () => {
    const one = service(offline);
    const list = revocationListOf([], startMs + hourMs);
    expect(code(await one.import(list))).toBe('collateral_missing');
    expect(await one.import(pem(ask, ark))).toEqual(ok(['vcek-Milan-chain.pem']));
    expect(await one.import(list)).toEqual(ok(['vcek-Milan.crl']));
    expect(await one.import(vcek, report)).toEqual(ok([chipFile]));
    expect((await one.stored(report))?.certificates).toHaveLength(2);
  });

  test('refuses other roots, other reports and bytes that are nothing', async () => {
    expect(code(await service({ pins: new Set() }).import(pem(ask, ark)))).toBe('root_not_pinned');
    const one = service();
    await one.import(pem(ask, ark));
    const other = reportOf({ version: 2, chipId: new Uint8Array(64).fill(9) });
    expect(code(await one.import(vcek, other))).toBe('chip_id_mismatch');
    expect(code(await one.import(utf8('nothing')))).toBe('collateral_malformed');
  });
});

const vectors = process.env['POSTERN_VECTORS'];

test.skipIf(vectors === undefined)(
  "AMD's own chain and a chip's certificate are taken",
  async () => {
    const read = async (name: string): Promise<Uint8Array> =>
      new Uint8Array(await readFile(path.join(vectors ?? '', 'attestation', name)));
    nowMs = Date.UTC(2022, 8, 25);
    const one = service({ ...offline, pins: vendorAnchors.amd });
    const chain = await one.import(await read('roots/amd-milan-ask-ark.pem'));
    expect(chain).toEqual(ok(['vcek-Milan-chain.pem']));
    const real = await read('sev/report-v2-debug.bin');
    const chip = await one.import(await read('sev/milan-vcek-debug.der'), real);
    expect(chip).toMatchObject({ ok: true });
    expect((await one.stored(real))?.certificates).toHaveLength(2);
  },
);

describe('what a report needs', () => {
  const of = (family: number, model: number): unknown => {
    const bytes = reportOf({ version: 5, reportedTcb: [1, 2, 3, 4, 0, 0, 0, 5] });
    bytes.set([family, model], 0x188);
    return amdSubjects(bytes);
  };

  test('is told by family and model', () => {
    expect(of(0x19, 0x01)).toMatchObject({ value: [{ product: 'Milan' }] });
    expect(of(0x19, 0x11)).toMatchObject({ value: [{ product: 'Genoa' }] });
    expect(of(0x19, 0xa0)).toMatchObject({ value: [{ product: 'Genoa' }] });
    expect(of(0x17, 0x01)).toMatchObject({ error: { code: 'unsupported_evidence' } });
  });

  test('has eight bytes of chip id and another order of levels on Turin', () => {
    expect(of(0x1a, 0x02)).toMatchObject({
      value: [
        {
          product: 'Turin',
          chip: { id: '07'.repeat(8), query: 'fmcSPL=1&blSPL=2&teeSPL=3&snpSPL=4&ucodeSPL=5' },
        },
      ],
    });
  });

  test('is the cloud chain for cloud keys, and nothing where the chip id is hidden', () => {
    const cloud = amdSubjects(reportOf({ version: 2, flags: 1 << 2 }));
    expect(cloud).toMatchObject({ value: [{ key: 'vlek', chip: undefined }, {}] });
    const hidden = amdSubjects(reportOf({ version: 2, chipId: new Uint8Array(64) }));
    expect(code(hidden)).toBe('chain_missing');
  });
});
