import { type Err, err } from '../../base/index.ts';

export type X509Code =
  /** Not a certificate that this reader accepts at all. */
  | 'malformed'
  /** Well formed, but outside of the profile (RFC 5280 section 4 or stricter). */
  | 'outside-profile'
  | 'unknown-critical'
  | 'weak-algorithm'
  | 'weak-key'
  | 'not-yet-valid'
  | 'expired'
  | 'not-authority'
  | 'wrong-usage'
  | 'wrong-name'
  | 'name-constraint'
  | 'path-too-long'
  | 'no-path'
  | 'bad-signature'
  | 'revoked'
  | 'bad-revocation-list'
  | 'revocation-unknown'
  | 'too-complex'
  /** Chain in order, but the claims in it contradict the profile that names the peer. */
  | 'wrong-identity';

/** Why a certificate or path is not accepted. `detail` is for people and logs. */
export interface X509Refusal {
  readonly code: X509Code;
  readonly detail: string;
}

export function refuse(code: X509Code, detail: string): Err<X509Refusal> {
  return err({ code, detail });
}
