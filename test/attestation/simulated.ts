/** Evidence of the simulator, and everything a test needs to appraise it. */
import type {
  AppraisalPolicy,
  IntelCollateralSource,
  PeerCertificateContext,
  TrustAnchors,
  VerifierContext,
} from '@postern/core/attest';
import { openCollateral, strictPlatformPolicy, vendorAnchors } from '@postern/core/attest';
import { Simulator } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type { TlsKeyRequest } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';

export const nowMs: number = Date.UTC(2026, 2, 1);
export const hourMs = 3_600_000;
export const dayMs: number = 24 * hourMs;

export const simulator: Simulator = new Simulator({ seed: 'tests', nowMs: () => nowMs });
export const anchors: TrustAnchors = {
  ...vendorAnchors,
  intel: new Set([simulator.rootHash]),
};

/** A context in which the simulator's evidence holds. */
export function contextOf(
  changes: Partial<VerifierContext> = {},
  source: IntelCollateralSource = simulator.collateral(),
): VerifierContext {
  return {
    crypto: nodeCrypto,
    anchors,
    nowMs,
    intelCollateral: openCollateral(source, { crypto: nodeCrypto, pins: anchors.intel }),
    amdCertificates: [],
    ...changes,
  };
}

export function peerContext(changes: Partial<PeerCertificateContext> = {}): PeerCertificateContext {
  return { ...contextOf(), role: 'server', clockSkewMsMax: 0, ...changes };
}

/** DER of a leaf that the simulated agent issues. */
export function leafOf(changes: Partial<TlsKeyRequest> = {}): Uint8Array {
  const { chain } = simulator.tlsKey({
    subject: 'svc',
    altNames: ['svc.example'],
    usageRaTls: true,
    usageServerAuth: true,
    usageClientAuth: true,
    ...changes,
  });
  return derOf(chain[0] ?? '');
}

export function derOf(pem: string): Uint8Array {
  const body = pem.replaceAll(/-----[^-]+-----|\s/g, '');
  return new Uint8Array(Buffer.from(body, 'base64'));
}

/** A policy that accepts the simulated workload and nothing else. */
export const policy: AppraisalPolicy = {
  generation: 1,
  platform: strictPlatformPolicy,
  images: [
    {
      name: 'simulated',
      platform: 'tdx',
      measurements: {
        mrtd: '0d'.repeat(48),
        rtmr0: '10'.repeat(48),
        rtmr1: '11'.repeat(48),
        rtmr2: '12'.repeat(48),
      },
    },
  ],
  apps: [{ appId: simulator.app.appId, composeHashes: [simulator.app.composeHash] }],
  devices: 'any',
  keyProviders: [simulator.app.keyProvider.id],
};
