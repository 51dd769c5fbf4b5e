/**
 * What it costs to believe a peer. Evidence and collateral come from the simulator: signatures, sizes and forms are
 * those of real ones. Figures: milliseconds for a TDX peer that nobody has seen (`uncached`: the collateral is
 * opened once, as in service; `cold`: it is opened and authenticated each time), microseconds for one in the cache,
 * megabytes for 10,000 of them.
 */
import process from 'node:process';
import {
  appraisePeer,
  openCollateral,
  strictPlatformPolicy,
  vendorAnchors,
  verdictsMaxDefault,
  VerdictCache,
} from '@postern/core/attest';
import type {
  AppraisalPolicy,
  IntelCollateral,
  PeerCertificateContext,
  TrustAnchors,
} from '@postern/core/attest';
import { Simulator } from '../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../packages/server/src/adapters/crypto-node/attest.ts';

const nowMs = Date.UTC(2026, 2, 1);

export async function run({ quick }: { quick: boolean }): Promise<Record<string, number>> {
  const bench = prepare();
  const { context, policy, leaf } = bench;
  const collateral = bench.open();
  const rounds = quick ? 200 : 2_000;
  const uncached = { ...context, intelCollateral: { ok: true, value: collateral } } as const;
  const uncachedMs = medianMs(rounds, () =>
    accept(appraisePeer(leaf, { context: uncached, policy })),
  );
  const coldMs = medianMs(rounds, () => {
    const opened = { ...context, intelCollateral: { ok: true, value: bench.open() } } as const;
    accept(appraisePeer(leaf, { context: opened, policy }));
  });
  const cache = new VerdictCache();
  accept(appraisePeer(leaf, { context: uncached, policy, cache }));
  const cachedMs = medianMs(rounds * 10, () =>
    accept(appraisePeer(leaf, { context: uncached, policy, cache })),
  );
  const megabytes = cacheMegabytes(uncached, policy, leaf);
  await Promise.resolve();
  return {
    'uncached TDX peer, ms': round(uncachedMs),
    'cold TDX peer with collateral, ms': round(coldMs),
    'cached peer, us': round(cachedMs * 1000),
    '10,000 cached peers, MB': round(megabytes),
  };
}

interface Prepared {
  readonly context: PeerCertificateContext;
  readonly policy: AppraisalPolicy;
  readonly leaf: Uint8Array;
  readonly open: () => IntelCollateral;
}

function prepare(): Prepared {
  const simulator = new Simulator({ seed: 'bench', nowMs: () => nowMs });
  const anchors: TrustAnchors = { ...vendorAnchors, intel: new Set([simulator.rootHash]) };
  const source = simulator.collateral();
  const open = (): IntelCollateral => {
    const opened = openCollateral(source, { crypto: nodeCrypto, pins: anchors.intel });
    if (!opened.ok) throw new Error(opened.error.code);
    return opened.value;
  };
  const { chain } = simulator.tlsKey({
    subject: 'bench',
    altNames: ['bench'],
    usageRaTls: true,
    usageServerAuth: true,
    usageClientAuth: true,
  });
  const body = (chain[0] ?? '').replaceAll(/-----[^-]+-----|\s/g, '');
  const fill = (byte: string): string => byte.repeat(48);
  const measurements = {
    mrtd: fill('0d'),
    rtmr0: fill('10'),
    rtmr1: fill('11'),
    rtmr2: fill('12'),
  };
  const { appId, composeHash, keyProvider } = simulator.app;
  return {
    leaf: new Uint8Array(Buffer.from(body, 'base64')),
    open,
    context: {
      crypto: nodeCrypto,
      anchors,
      nowMs,
      intelCollateral: undefined,
      amdCertificates: [],
      role: 'server',
      clockSkewMsMax: 0,
    },
    policy: {
      generation: 1,
      platform: strictPlatformPolicy,
      images: [{ name: 'bench', platform: 'tdx', measurements }],
      apps: [{ appId, composeHashes: [composeHash] }],
      devices: 'any',
      keyProviders: [keyProvider.id],
    },
  };
}

/** Growth of the heap by a full cache of verdicts, each appraised for itself and shared with none. */
function cacheMegabytes(
  context: PeerCertificateContext,
  policy: AppraisalPolicy,
  leaf: Uint8Array,
): number {
  const cache = new VerdictCache();
  const before = heapBytes();
  for (let peer = 0; peer < verdictsMaxDefault; peer += 1) {
    const key = `server:${peer.toString(16).padStart(64, '0')}`;
    // A verification each would take half a minute; the strings of a verdict are what it keeps.
    const verdict = structuredClone(accepted(context, policy, leaf));
    cache.put(key, { ...verdict, instanceId: `${verdict.instanceId ?? ''}${peer}` });
  }
  const grown = heapBytes() - before;
  if (cache.size !== verdictsMaxDefault) throw new Error('the cache is not full');
  return Math.max(0, grown) / 2 ** 20;
}

const memo = new Map<string, ReturnType<typeof appraisePeer>>();

function accepted(
  context: PeerCertificateContext,
  policy: AppraisalPolicy,
  leaf: Uint8Array,
): ReturnType<typeof appraisePeer> {
  const known = memo.get('verdict') ?? appraisePeer(leaf, { context, policy });
  memo.set('verdict', known);
  return known;
}

function heapBytes(): number {
  // Without --expose-gc the figure includes garbage: an upper bound.
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function accept({ accepted: isAccepted, refusals }: ReturnType<typeof appraisePeer>): void {
  if (!isAccepted) throw new Error(refusals.map(({ code }) => code).join(' '));
}

/** The median duration of a call, after a tenth of the rounds to warm up. */
function medianMs(rounds: number, call: () => void): number {
  for (let i = 0; i < rounds / 10; i += 1) call();
  const durations: number[] = [];
  for (let i = 0; i < rounds; i += 1) {
    const start = process.hrtime.bigint();
    call();
    durations.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  durations.sort((a, b) => a - b);
  return durations[Math.floor(rounds / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
