/**
 * @module RA-TLS: evidence inside the certificate of a TLS peer, as dstack issues it.
 *
 * Promises: both evidence forms (.8, and .1 with .2) are read, the newer one first; the evidence must be bound
 * to the certificate's key by the signed report data; what the certificate claims besides must agree.
 * Refuses: believing any extension by itself, building paths (`x509` does), other arcs.
 */
export { readRaTlsExtensions } from './extensions.ts';
export type { RaTlsEvidence, RaTlsExtensions } from './extensions.ts';
export { type PeerCertificateContext, raTlsReportData, verifyPeerCertificate } from './peer.ts';
export {
  type SessionBinding,
  sessionExporterBytes,
  sessionExporterLabel,
  sessionNonceBytes,
  sessionReportData,
} from './session.ts';
