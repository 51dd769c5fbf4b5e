import { equalBytes } from '../../base/index.ts';
import type { Certificate } from './certificate.ts';
import { isDnsMatch, isSameMailbox, parseMailbox } from './identifier.ts';

/** The name under which a peer is expected. Only alternative names count, never the common name. */
export type PeerName =
  | { readonly kind: 'dns' | 'email' | 'uri'; readonly value: string }
  /** Address in network order, 4 or 16 octets. */
  | { readonly kind: 'ip'; readonly address: Uint8Array };

export function hasPeerName(certificate: Certificate, expected: PeerName): boolean {
  return (certificate.subjectAltNames ?? []).some((name) => {
    if (name.kind === 'ip' && expected.kind === 'ip') {
      return equalBytes(name.address, expected.address);
    }
    if (name.kind === 'dns' && expected.kind === 'dns') {
      return isDnsMatch(name.value, expected.value);
    }
    if (name.kind === 'email' && expected.kind === 'email') {
      const [presented, wanted] = [parseMailbox(name.value), parseMailbox(expected.value)];
      return presented !== undefined && wanted !== undefined && isSameMailbox(presented, wanted);
    }
    return name.kind === 'uri' && expected.kind === 'uri' && name.value === expected.value;
  });
}
