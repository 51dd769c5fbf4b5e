import { createServer } from 'node:http';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { utf8 } from '@postern/core/base';
import { collateralSubject } from '@postern/core/attest';
import type { IntelCollateralSource } from '@postern/core/attest';
import { createFakePcs, pcsAnswer } from '../../../../../test/fakes/pcs.ts';
import type { FakePcs } from '../../../../../test/fakes/pcs.ts';
import { Simulator, createCollateral } from '../attestor-simulator/index.ts';
import { nodeCrypto } from '../crypto-node/attest.ts';
import { createEgress } from '../egress-socket/index.ts';
import { cachingOrigin, CollateralService, intelOrigin } from './index.ts';
import type { CollateralOptions } from './index.ts';

const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 2, 1);
const simulator = new Simulator({ seed: 'collateral', nowMs: () => startMs });
const pins = new Set([simulator.rootHash]);
const subject = { tee: 'tdx', fmspc: '50534d000000', ca: 'platform' } as const;

/** Collateral that Intel would publish at an instant: valid for thirty days. */
function published(atMs: number, revoked: readonly number[] = []): IntelCollateralSource {
  return createCollateral(simulator.pki, {
    issuedAtMs: atMs,
    nextUpdateMs: atMs + 30 * dayMs,
    revokedByPlatformCa: revoked,
  });
}

let folder = '';
let nowMs = startMs;
let pcs: FakePcs;

beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'collateral-')), 'intel');
  nowMs = startMs;
  pcs = createFakePcs(published(startMs - dayMs));
});
afterEach(() => rm(path.dirname(folder), { recursive: true }));

function service(changes: Partial<CollateralOptions> = {}): CollateralService {
  return new CollateralService({
    folder,
    crypto: nodeCrypto,
    pins,
    nowMs: () => nowMs,
    remote: { origin: intelOrigin, egress: pcs.egress },
    ...changes,
  });
}

const offline = { remote: undefined };
const file = (source: IntelCollateralSource): Uint8Array => utf8(JSON.stringify(source));
const code = (result: { ok: boolean; error?: { code: string } }): string | undefined =>
  result.error?.code;

describe('fetching', () => {
  test('asks Intel for the four parts of a subject, and hands out what verifies', async () => {
    const collateral = await service().get(subject);
    expect(collateral.ok).toBe(true);
    expect(pcs.asked.map(String).toSorted()).toEqual([
      'https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der',
      'https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity',
      'https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=50534d000000',
      'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der',
    ]);
  });

  test('fits the quote that the subject was read from', async () => {
    const { quote } = simulator.quote(new Uint8Array(64));
    const asked = collateralSubject(quote, { crypto: nodeCrypto, pins });
    expect(asked).toEqual({ ok: true, value: subject });
  });

  test('happens once for everybody who waits', async () => {
    const one = service();
    const all = await Promise.all(Array.from({ length: 20 }, () => one.get(subject)));
    expect(all.every(({ ok }) => ok)).toBe(true);
    expect(pcs.asked).toHaveLength(4);
  });

  test('works over the real way out, against a caching service that writes hex', async () => {
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://pccs');
      const { status, headers, body } = pcsAnswer(url, published(startMs - dayMs));
      response.writeHead(status, headers).end(body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const handle = createEgress();
    const origin = cachingOrigin(new URL(`http://127.0.0.1:${port}`));
    const one = service({ remote: { origin, egress: handle.egress } });
    expect((await one.get(subject)).ok).toBe(true);
    await handle.close();
    server.close();
  });

  test.each([
    [
      'a forged statement',
      '/tcb',
      (text: string) => text.replace('UpToDate', 'Revoked'),
      'tcb_info_signature_invalid',
    ],
    [
      'a reformatted statement',
      '/tcb',
      (text: string) => text.replace('{"id"', '{ "id"'),
      'tcb_info_signature_invalid',
    ],
    [
      'a forged identity',
      '/identity',
      (text: string) => text.replace('"isvprodid":2', '"isvprodid":1'),
      'qe_identity_signature_invalid',
    ],
    ['a page in the place of a statement', '/tcb', () => '<html>', 'collateral_malformed'],
    ['a page in the place of a list', 'pckcrl', () => '<html>', 'collateral_malformed'],
    ['an empty list', 'RootCA', () => '', 'collateral_malformed'],
    ['a larger statement than any', '/tcb', () => ' '.repeat(300_000), 'collateral_missing'],
  ])('%s is refused and not stored', async (_name, where, change, expected) => {
    pcs.tamper((answer, url) =>
      url.pathname.includes(where)
        ? { ...answer, body: utf8(change(Buffer.from(answer.body).toString('latin1'))) }
        : answer,
    );
    expect(code(await service().get(subject))).toBe(expected);
    expect(await service(offline).list()).toEqual([]);
  });

  test.each([
    'tcb-info-issuer-chain',
    'sgx-enclave-identity-issuer-chain',
    'sgx-pck-crl-issuer-chain',
  ])('an answer without %s, or with a broken one, is refused', async (name) => {
    for (const value of [undefined, '%zz', 'x'.repeat(20_000)]) {
      pcs.tamper((answer) => {
        if (answer.headers[name] === undefined) return answer;
        const { [name]: _old, ...others } = answer.headers;
        return { ...answer, headers: value === undefined ? others : { ...others, [name]: value } };
      });
      expect(code(await service().get(subject))).toBe('collateral_malformed');
    }
  });

  test('an answer about another family is refused', async () => {
    const other = { ...subject, fmspc: '000000000000' };
    expect(code(await service().get(other))).toBe('fmspc_mismatch');
  });

  test('a root that is not pinned is refused', async () => {
    const strangers = service({ pins: new Set(['00'.repeat(32)]) });
    expect(code(await strangers.get(subject))).toBe('collateral_chain_invalid');
  });

  test('after a failure nobody asks again for a minute, then for two', async () => {
    pcs.publish(undefined);
    const one = service();
    expect(code(await one.get(subject))).toBe('collateral_missing');
    const before = pcs.asked.length;
    nowMs += 59_000;
    expect(code(await one.get(subject))).toBe('collateral_missing');
    expect(pcs.asked).toHaveLength(before);
    nowMs += 1_000;
    await one.get(subject);
    expect(pcs.asked).toHaveLength(2 * before);
    nowMs += 119_000;
    await one.get(subject);
    expect(pcs.asked).toHaveLength(2 * before);
    pcs.publish(published(startMs - dayMs));
    nowMs += 1_000;
    expect((await one.get(subject)).ok).toBe(true);
  });
});

describe('keeping', () => {
  test('a restart needs no network, and files are for their owner alone', async () => {
    await service().get(subject);
    expect((await service(offline).get(subject)).ok).toBe(true);
    const names = await readdir(folder);
    expect(names).toEqual(['tdx-50534d000000-platform.json']);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(path.join(folder, names[0] ?? ''))).mode & 0o777).toBe(0o600);
  });

  test('a file that somebody changed counts as none', async () => {
    await service().get(subject);
    const target = path.join(folder, 'tdx-50534d000000-platform.json');
    const text = await readFile(target, 'utf8');
    await writeFile(target, text.replace('UpToDate', 'Revoked '));
    expect(code(await service(offline).get(subject))).toBe('collateral_missing');
    await writeFile(target, 'not JSON');
    expect(await service(offline).list()).toEqual([]);
  });

  test('a file under the name of another subject counts as none', async () => {
    await service().get(subject);
    const text = await readFile(path.join(folder, 'tdx-50534d000000-platform.json'));
    await writeFile(path.join(folder, 'tdx-000000000001-platform.json'), text);
    const other = { ...subject, fmspc: '000000000001' };
    expect(code(await service(offline).get(other))).toBe('collateral_missing');
    expect(await service(offline).list()).toHaveLength(1);
  });

  test('what is in memory is there without waiting, while it holds', async () => {
    const one = service();
    expect(one.peek(subject)).toBeUndefined();
    await one.get(subject);
    expect(one.peek(subject)).toBeDefined();
    nowMs = startMs + 30 * dayMs;
    expect(one.peek(subject)).toBeUndefined();
  });
});

describe('time', () => {
  test('is refreshed after a day in the background, while the old one is handed out', async () => {
    const one = service();
    const first = await one.get(subject);
    nowMs += dayMs;
    pcs.publish(published(nowMs));
    expect(await one.get(subject)).toEqual(first);
    await expect.poll(() => one.peek(subject)?.tcbInfo.notBeforeMs).toBe(nowMs);
  });

  test('the last good one counts to its end and not beyond', async () => {
    const one = service();
    await one.get(subject);
    pcs.publish(undefined);
    nowMs = startMs + 29 * dayMs;
    expect((await one.get(subject)).ok).toBe(true);
    await one.refreshDue();
    expect((await one.get(subject)).ok).toBe(true);
    nowMs += 1;
    const ended = await one.get(subject);
    expect(code(ended)).toBe('collateral_expired');
    pcs.publish(published(nowMs));
    nowMs += 3_600_000;
    expect((await one.get(subject)).ok).toBe(true);
  });

  test('near its end the same answer is asked for once an hour, not at every use', async () => {
    const one = service();
    await one.get(subject);
    nowMs = startMs + 25 * dayMs;
    await one.refreshDue();
    const before = pcs.asked.length;
    for (let use = 0; use < 10; use += 1) await one.get(subject);
    await one.refreshDue();
    expect(pcs.asked).toHaveLength(before);
    nowMs += 3_600_000;
    await one.refreshDue();
    expect(pcs.asked).toHaveLength(before + 4);
  });

  test('an answer from before a revocation does not replace the list with it', async () => {
    pcs.publish(published(startMs - dayMs, [7]));
    const one = service();
    await one.get(subject);
    pcs.publish(published(startMs - 2 * dayMs));
    nowMs += dayMs;
    const problems = await one.refreshDue();
    expect(problems.map((each) => each.code)).toEqual(['collateral_too_old']);
    expect(one.peek(subject)?.pckList.revoked.size).toBe(1);
    await one.refresh(subject);
    expect(one.peek(subject)?.pckList.revoked.size).toBe(1);
  });
});

describe('importing', () => {
  test('a file of a closed network is stored once it verifies', async () => {
    const one = service(offline);
    const imported = await one.import(file(published(startMs - dayMs)));
    expect(imported.ok ? imported.value.subject : imported).toEqual(subject);
    expect((await service(offline).get(subject)).ok).toBe(true);
  });

  test.each([
    ['garbage', () => utf8('no'), 'collateral_malformed'],
    ['a file with a part missing', () => utf8('{"tcb_info":""}'), 'collateral_malformed'],
    ['an expired one', () => file(published(startMs - 31 * dayMs)), 'collateral_expired'],
    ['one from the future', () => file(published(startMs + dayMs)), 'collateral_not_yet_valid'],
    [
      'a forged one',
      () => file({ ...published(startMs), pck_crl: published(startMs, [9]).root_ca_crl }),
      'crl_issuer_mismatch',
    ],
  ])('%s is refused and not stored', async (_name, make, expected) => {
    const one = service(offline);
    expect(code(await one.import(make()))).toBe(expected);
    expect(await one.list()).toEqual([]);
  });

  test('an older one than what is there is refused', async () => {
    const one = service(offline);
    await one.import(file(published(startMs - dayMs)));
    expect(code(await one.import(file(published(startMs - 2 * dayMs))))).toBe('collateral_too_old');
  });

  test('without a network and without a file there is nothing', async () => {
    expect(code(await service(offline).get(subject))).toBe('collateral_missing');
  });
});
