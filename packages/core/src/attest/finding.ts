/**
 * Every reason for which evidence can be refused, once. The code is the stable surface that programs and
 * audit records compare; the sentence is for people; the class says which question was answered "no".
 *
 * - `form`: the bytes are not what they claim to be, so that no signature can be checked
 * - `crypto`: a signature, a binding or the chain to the pinned root does not hold
 * - `unsigned`: nobody signed it
 * - `collateral`: the vendor's data that appraisal needs is missing, forged or about something else
 * - `window`: a certificate, list or document is outside its time
 * - `tcb`: the platform's patch level is not accepted
 * - `posture`: sound evidence of a setting that voids protection (debug, migration, privilege level), or with
 *   additions that nobody signed
 * - `identity`: it is sound evidence of something else than was asked for
 */
export const findingTable = {
  malformed_evidence: ['form', 'The evidence is not well formed.'],
  unsupported_evidence: ['form', 'The evidence has a version or key type that is not accepted.'],
  malformed_certificate: ['form', 'A certificate of the chain is not strict DER.'],
  malformed_token: ['form', 'The token is not a well-formed JSON Web Token.'],
  malformed_extension: ['form', 'An attestation extension of the certificate is not well formed.'],
  evidence_missing: ['form', 'The certificate carries no evidence.'],

  quote_signature_invalid: ['crypto', 'The attestation key did not sign this quote.'],
  qe_vendor_unknown: ['crypto', 'The quoting enclave is not from Intel.'],
  qe_report_signature_invalid: [
    'crypto',
    'The platform key did not sign the quoting enclave report.',
  ],
  qe_report_binding_invalid: [
    'crypto',
    'The quoting enclave report names another attestation key.',
  ],
  chain_missing: ['crypto', 'The evidence carries no certificate chain.'],
  chain_broken: ['crypto', 'A certificate of the chain is not issued by the next one.'],
  chain_profile_violated: ['crypto', 'A certificate of the chain has a use that it must not have.'],
  root_not_pinned: ['crypto', 'The chain does not end at a pinned root.'],
  report_signature_invalid: ['crypto', 'The chip key did not sign this report.'],
  chip_id_mismatch: ['crypto', 'The report names another chip than the certificate.'],
  chip_tcb_mismatch: ['crypto', 'The report names another patch level than the certificate.'],
  signing_key_mismatch: [
    'crypto',
    'The report names another kind of signing key than the certificate.',
  ],
  document_signature_invalid: ['crypto', 'The leaf certificate did not sign this document.'],
  token_signature_invalid: ['crypto', 'No trusted key signed this token.'],
  report_data_mismatch: [
    'crypto',
    'The wrapper repeats other report data than the signed evidence holds.',
  ],
  event_digest_mismatch: ['crypto', 'An event lists a digest that its content does not have.'],
  event_log_mismatch: ['crypto', 'The event log does not replay to the signed register.'],
  config_binding_invalid: [
    'crypto',
    'The configuration document is not the one that the hardware signed.',
  ],

  token_unsigned: ['unsigned', 'The token has no signature.'],

  collateral_missing: [
    'collateral',
    'There is no collateral, so the patch level cannot be appraised.',
  ],
  collateral_malformed: ['collateral', 'The collateral is not well formed.'],
  collateral_chain_invalid: [
    'collateral',
    'The collateral issuer does not chain to the pinned root.',
  ],
  tcb_info_signature_invalid: ['collateral', 'Intel did not sign this TCB info.'],
  qe_identity_signature_invalid: ['collateral', 'Intel did not sign this QE identity.'],
  crl_signature_invalid: ['collateral', 'The issuer did not sign this revocation list.'],
  crl_issuer_mismatch: [
    'collateral',
    'The revocation list is from another issuer than the certificate.',
  ],
  fmspc_mismatch: ['collateral', 'The collateral is for another processor family.'],
  pce_id_mismatch: ['collateral', 'The collateral is for another provisioning enclave.'],
  qe_identity_mismatch: ['collateral', 'The quoting enclave is not the one that Intel describes.'],
  tdx_module_mismatch: ['collateral', 'The TDX module is not one that Intel describes.'],
  collateral_too_old: [
    'collateral',
    'The collateral has a lower evaluation number than the policy wants.',
  ],

  certificate_revoked: ['window', 'A certificate of the chain is revoked.'],
  certificate_not_yet_valid: ['window', 'A certificate of the chain is not yet valid.'],
  certificate_expired: ['window', 'A certificate of the chain has expired.'],
  collateral_not_yet_valid: ['window', 'The collateral is from the future.'],
  collateral_expired: ['window', 'The collateral is past its next update.'],
  crl_not_yet_valid: ['window', 'The revocation list is from the future.'],
  crl_expired: ['window', 'The revocation list is past its next update.'],
  evidence_from_future: ['window', 'The evidence is dated in the future.'],
  evidence_too_old: ['window', 'The evidence is older than the policy allows.'],

  tcb_no_matching_level: ['tcb', 'The platform is below every patch level that the vendor lists.'],
  tcb_status_refused: ['tcb', 'The platform has a TCB status that the policy does not accept.'],
  tcb_advisory_refused: ['tcb', 'A security advisory applies that the policy does not accept.'],
  tcb_revoked: ['tcb', 'The vendor revoked this patch level.'],
  tcb_below_minimum: ['tcb', 'A firmware version is below the minimum of the policy.'],

  trailing_bytes: ['posture', 'Bytes other than zero padding follow the evidence.'],
  debug_enabled: ['posture', 'The workload can be debugged, so it keeps no secret.'],
  migration_allowed: ['posture', 'The workload may be migrated to a machine that is not attested.'],
  sept_ve_enabled: ['posture', 'SEPT_VE_DISABLE is clear: the host can inject page faults.'],
  reserved_bits_set: ['posture', 'Bits are set whose meaning is not known.'],
  seam_signer_foreign: ['posture', 'The TDX module is not signed by Intel.'],
  service_td_present: ['posture', 'A service TD is bound to the workload.'],
  vmpl_refused: ['posture', 'The report is not from the most privileged level of the guest.'],

  key_binding_invalid: ['identity', 'The evidence is bound to another TLS key.'],
  report_data_unexpected: ['identity', 'The evidence answers another challenge.'],
  platform_not_allowed: ['identity', 'The policy does not accept this kind of platform.'],
  image_not_allowed: ['identity', 'The boot measurements are not of an approved image.'],
  app_unknown: ['identity', 'The evidence names no app.'],
  app_not_allowed: ['identity', 'The policy does not accept this app.'],
  compose_not_allowed: ['identity', 'The policy does not accept this version of the app.'],
  instance_not_allowed: ['identity', 'The policy does not accept this instance.'],
  device_not_allowed: ['identity', 'The policy does not accept this machine.'],
  key_provider_not_allowed: ['identity', 'The key provider is not the pinned one.'],
  certificate_claim_mismatch: [
    'identity',
    'The certificate claims another app than the evidence proves.',
  ],
  certificate_use_refused: ['identity', 'The certificate is not for this use.'],
  special_usage_refused: ['identity', 'The certificate is for another use.'],
  target_app_mismatch: ['identity', 'The peer is another app than the one asked for.'],
  target_instance_mismatch: ['identity', 'The peer is another instance than the one asked for.'],
  boot_events_invalid: ['identity', 'The boot events are missing, repeated or out of order.'],
  gpu_evidence_unbound: ['identity', 'The GPU evidence is not bound to the measured boot.'],
} as const;

export type FindingCode = keyof typeof findingTable;
export type FindingClass = (typeof findingTable)[FindingCode][0];

/** One reason against the evidence. `detail` has the values at fault and never a secret. */
export interface Finding {
  readonly code: FindingCode;
  readonly detail: string;
}

export function finding(code: FindingCode, detail: string): Finding {
  return { code, detail };
}

export function classOf(code: FindingCode): FindingClass {
  return findingTable[code][0];
}

/** The sentence of the table and the values at fault, for people. */
export function explain({ code, detail }: Finding): string {
  return detail === '' ? findingTable[code][1] : `${findingTable[code][1]} (${detail})`;
}
