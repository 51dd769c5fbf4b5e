import { gunzipSync } from 'node:zlib';
import type { Egress } from '../../http/index.ts';
import type { EvidenceContext } from '@postern/core/attest';
import { collateralSubject, hardwareEvidence, VerdictCache } from '@postern/core/attest';
import { AmdCollateralService } from '../../adapters/collateral-amd/index.ts';
import { CollateralService, intelOrigin } from '../../adapters/collateral-intel/index.ts';
import { nodeCrypto, nodeSignatureVerifier } from '../../adapters/crypto-node/index.ts';
import type { FindFacts, MeshTrust, PeerTools } from '../../mesh/index.ts';
import { noFacts } from '../../mesh/index.ts';
import { collateralFolder } from '../settings.ts';

export interface FactsOptions {
  readonly stateDir: string;
  readonly egress: Egress;
  readonly nowMs: () => number;
  readonly trust: () => MeshTrust;
}

/** What vendors say about the hardware of a peer: from memory, the state folder, or the vendor. */
export function createFactsFinder({ stateDir, egress, nowMs, trust }: FactsOptions): FindFacts {
  const services = new Map<ReadonlySet<string>, CollateralService>();
  const intelFor = (pins: MeshTrust['anchors']['intel']): CollateralService => {
    const known = services.get(pins);
    if (known !== undefined) return known;
    const service = new CollateralService({
      folder: collateralFolder(stateDir, 'intel'),
      crypto: nodeCrypto,
      pins,
      nowMs,
      remote: { origin: intelOrigin, egress },
    });
    services.clear();
    services.set(pins, service);
    return service;
  };
  return async (evidence, kind = 'certificate') => {
    const { anchors, clockSkewMsMax } = trust();
    const context: EvidenceContext = {
      crypto: nodeCrypto,
      anchors,
      nowMs: nowMs(),
      intelCollateral: undefined,
      amdCertificates: [],
      gunzip,
      role: 'server',
      clockSkewMsMax,
    };
    const { intelQuote, snpReport } = hardwareEvidence(kind, evidence, context);
    if (intelQuote !== undefined) {
      const subject = collateralSubject(intelQuote, { crypto: nodeCrypto, pins: anchors.intel });
      if (!subject.ok) return noFacts;
      return { ...noFacts, intelCollateral: await intelFor(anchors.intel).get(subject.value) };
    }
    if (snpReport === undefined) return noFacts;
    const amd = new AmdCollateralService({
      folder: collateralFolder(stateDir, 'amd'),
      crypto: nodeCrypto,
      pins: anchors.amd,
      nowMs,
      egress: undefined,
    });
    const stored = await amd.stored(snpReport);
    if (stored === undefined) return noFacts;
    const { certificates, revocationList } = stored;
    return {
      intelCollateral: undefined,
      amdCertificates: certificates,
      ...(revocationList === undefined ? {} : { amdRevocationList: revocationList }),
    };
  };
}

function gunzip(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: bytesMax }));
  } catch {
    return undefined;
  }
}

/** What peers are judged with, and verdicts remembered for one judge. */
export function peerTools(): PeerTools {
  return {
    crypto: nodeCrypto,
    signatures: nodeSignatureVerifier,
    cache: new VerdictCache(),
    gunzip,
  };
}
