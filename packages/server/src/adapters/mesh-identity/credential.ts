import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { assert, err, ok, type Result, type Secret } from '@postern/core/base';
import type { IdentitySource, MeshCredential } from '../../mesh/index.ts';

const certificatePattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const chainMax = 6;

/** A key and its certificates (PEM, leaf first) as what listeners and callers use. */
export function createCredential(key: Secret, chainPem: string): Result<MeshCredential, string> {
  const blocks = chainPem.match(certificatePattern) ?? [];
  if (blocks.length === 0 || blocks.length > chainMax) {
    return err(`between 1 and ${chainMax} certificates are needed, here are ${blocks.length}`);
  }
  try {
    const certificates = blocks.map((block) => new X509Certificate(block));
    const [leaf] = certificates;
    if (leaf === undefined) return err('no certificate');
    const pem = key.reveal();
    if (!leaf.checkPrivateKey(createPrivateKey(pem))) {
      return err('the key is not the one of the certificate');
    }
    // The root says nothing that a peer would believe from us: it has its own.
    const sent = certificates.filter((one, at) => at === 0 || one.subject !== one.issuer);
    const cert = sent.map((one) => one.toString()).join('');
    const pair = { key: pem, cert, minVersion: 'TLSv1.3' } as const;
    const context = createSecureContext(pair);
    return ok({
      chain: sent.map((one) => new Uint8Array(one.raw)),
      notBeforeMs: leaf.validFromDate.getTime(),
      notAfterMs: leaf.validToDate.getTime(),
      context,
      serve: (server) => server.setSecureContext(pair),
    });
  } catch (cause) {
    return err(`the pair cannot be used: ${cause instanceof Error ? cause.message : 'unknown'}`);
  }
}

const anonymousLifetimeMs = 3_600_000;

/** For calls to servers that ask nobody who is calling: no certificate is shown. It serves no listener. */
export function createAnonymousSource(nowMs: () => number): IdentitySource {
  return {
    name: 'nobody',
    issue: () =>
      Promise.resolve(
        ok({
          chain: [],
          notBeforeMs: nowMs(),
          notAfterMs: nowMs() + anonymousLifetimeMs,
          context: createSecureContext({ minVersion: 'TLSv1.3' }),
          serve: () => assert(false, 'nobody serves without a certificate'),
        }),
      ),
  };
}
