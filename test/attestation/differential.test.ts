/**
 * The same quotes, collateral and instants through another implementation (dcap-qvl, compiled from Rust): the same
 * decision and the same TCB status, or a difference that is explained by its name here.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import {
  openCollateral,
  parseCollateral,
  vendorAnchors,
  verifyIntelQuote,
} from '@postern/core/attest';
import type { IntelCollateralSource } from '@postern/core/attest';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { fixtures, hasFixtures } from './fixtures.ts';
import { mutate, randomOf } from './mutate.ts';

interface OtherVerifier {
  initSync(options: { module: Uint8Array }): unknown;
  js_verify(quote: Uint8Array, collateral: unknown, nowSeconds: bigint): unknown;
}

/** Undefined where the package is not installed or this machine cannot run it; the tests then skip visibly. */
async function loadOther(): Promise<OtherVerifier | undefined> {
  try {
    const name = '@phala/dcap-qvl-web';
    // The package's own types need a browser's; these two functions are all that is called.
    const other = (await import(name)) as OtherVerifier;
    const wasm = createRequire(import.meta.url).resolve(`${name}/dcap-qvl-web_bg.wasm`);
    other.initSync({ module: readFileSync(wasm) });
    return other;
  } catch {
    return undefined;
  }
}

const other = await loadOther();
const folder = join(process.env['POSTERN_VECTORS'] ?? '', 'attestation', 'collateral');
const files: Readonly<Record<string, number>> = {
  'sgx-00a067-2025-06.json': Date.UTC(2025, 6, 1),
  'tdx-50806f-2023-06.json': Date.UTC(2023, 6, 1, 1),
  'tdx-90c06f-2026-02.json': Date.UTC(2026, 2, 1),
  'tdx-b0c06f-2025-06.json': Date.UTC(2025, 6, 1),
};

interface Answer {
  readonly isAccepted: boolean;
  readonly why: string;
}

function ours(quote: Uint8Array, source: IntelCollateralSource, nowMs: number): Answer {
  const pins = { crypto: nodeCrypto, pins: vendorAnchors.intel };
  const collateral = openCollateral(source, pins);
  const { findings, claims } = verifyIntelQuote(quote, { ...pins, collateral, nowMs });
  const codes = [...new Set(findings.map(({ code }) => code))];
  const { tcb } = claims ?? {};
  if (codes.length > 0 || tcb === undefined) return { isAccepted: false, why: codes.join(' ') };
  const isRevoked = tcb.status === 'Revoked';
  return { isAccepted: !isRevoked, why: [tcb.status, ...tcb.advisories].join(' ') };
}

function theirs(quote: Uint8Array, source: IntelCollateralSource, nowMs: number): Answer {
  try {
    const answer = other?.js_verify(quote, source, BigInt(Math.floor(nowMs / 1000)));
    const { status, advisory_ids: advisories } = answer as {
      readonly status: string;
      readonly advisory_ids: readonly string[];
    };
    return { isAccepted: true, why: [status, ...advisories.toSorted()].join(' ') };
  } catch (cause) {
    return { isAccepted: false, why: String(cause) };
  }
}

const quotes = fixtures().filter(({ id }) => /^(?:tdx|sgx|dstack-(?!nitro|sev))/.test(id));
/** Where they accept and we refuse, by our reason. */
const explained: Readonly<Record<string, string>> = {
  tcb_no_matching_level: 'they answer "Unknown" and leave the refusal to their caller',
};
/** The same for damaged quotes: what they do not look at. */
const unlooked: Readonly<Record<string, string>> = {
  ...explained,
  trailing_bytes: 'they ignore what follows the signature data',
  root_not_pinned: 'they have the root themselves and do not look at the one in the quote',
  malformed_certificate: 'the same, where the damage is to its encoding',
};

function sourceOf(name: string): IntelCollateralSource {
  const read = parseCollateral(new Uint8Array(readFileSync(join(folder, name))));
  if (!read.ok) throw new Error(read.error.detail);
  return read.value;
}

describe.skipIf(!hasFixtures || other === undefined)('next to dcap-qvl (POSTERN_VECTORS)', () => {
  test('every outside quote, with every outside collateral, gets the same answer', () => {
    let accepted = 0;
    for (const { id, bytes } of quotes) {
      for (const [name, nowMs] of Object.entries(files)) {
        const source = sourceOf(name);
        const mine = ours(bytes, source, nowMs);
        const their = theirs(bytes, source, nowMs);
        const isExplained = !mine.isAccepted && explained[mine.why] !== undefined;
        if (isExplained && their.isAccepted) continue;
        expect(mine.isAccepted, `${id}, ${name}: ${mine.why} / ${their.why}`).toBe(
          their.isAccepted,
        );
        if (!mine.isAccepted) continue;
        accepted += 1;
        expect(mine.why, `${id}, ${name}`).toBe(their.why);
      }
    }
    expect(accepted).toBeGreaterThanOrEqual(2);
  });

  test('outside of its window, collateral is refused by both', () => {
    for (const [name, nowMs] of Object.entries(files)) {
      for (const { bytes } of quotes) {
        const late = nowMs + 400 * 86_400_000;
        expect(ours(bytes, sourceOf(name), late).isAccepted).toBe(false);
        expect(theirs(bytes, sourceOf(name), late).isAccepted).toBe(false);
      }
    }
  });

  test.each([
    ['tdx4-uptodate', 'tdx-b0c06f-2025-06.json'],
    ['sgx3-hardening-needed', 'sgx-00a067-2025-06.json'],
  ])('damage to %s is never accepted here and refused there', (id, name) => {
    const quote = quotes.find((each) => each.id === id)?.bytes ?? new Uint8Array();
    const source = sourceOf(name);
    const nowMs = files[name] ?? 0;
    const random = randomOf(42);
    for (let round = 0; round < 60; round += 1) {
      const damaged = mutate(quote, random);
      const mine = ours(damaged, source, nowMs);
      const their = theirs(damaged, source, nowMs);
      if (!mine.isAccepted && their.isAccepted) {
        const unknown = mine.why.split(' ').filter((code) => unlooked[code] === undefined);
        expect(unknown, `round ${round}: ${their.why}`).toEqual([]);
      } else expect(mine.isAccepted, `round ${round}: ${their.why}`).toBe(their.isAccepted);
    }
  });
});

test('a version 5 quote is decided here alone: the other one does not decode it', () => {
  const five = quotes.find(({ id }) => id === 'tdx5-outdated');
  if (five === undefined || other === undefined) return;
  const name = 'tdx-90c06f-2026-02.json';
  const nowMs = files[name] ?? 0;
  expect(theirs(five.bytes, sourceOf(name), nowMs).why).toContain('Failed to decode');
  expect(ours(five.bytes, sourceOf(name), nowMs).why).toBe('tcb_no_matching_level');
});
