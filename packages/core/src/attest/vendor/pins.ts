import type { RootPins } from './chain.ts';

/** Which roots are believed, by vendor. SHA-256 of the root certificate's DER. */
export interface TrustAnchors {
  readonly intel: RootPins;
  readonly amd: RootPins;
  readonly aws: RootPins;
}

/**
 * The vendors' production roots: Intel SGX Root CA (2049), AMD ARK for Milan, Genoa and Turin, AWS Nitro
 * Enclaves Root G1 (fingerprint published at aws-nitro-enclaves.amazonaws.com). A test root is believed
 * only where a caller builds other anchors, which the configuration allows under an insecure flag alone.
 */
export const vendorAnchors: TrustAnchors = {
  intel: new Set(['44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3']),
  amd: new Set([
    '69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd',
    '4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1',
    '1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a',
  ]),
  aws: new Set(['641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b']),
};
