import { randomBytes } from 'node:crypto';
import {
  type EnrolmentAnswer,
  type EnrolmentRequest,
  enrolmentText,
  type JoinRequest,
  type RenewRequest,
} from '@postern/core/attest/enrolment';
import {
  type CertificateAuthority,
  parseCertificate,
  parseSpiffeId,
  spiffeBundleDocument,
} from '@postern/core/attest/x509';
import { equalBytes, type JsonValue, ok, present, type Result, toHex } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import { workloadSpiffeId } from './peer.ts';
import type { Revoked } from './revoked.ts';

/** One machine that joined: what proves its renewals. */
export interface Member {
  readonly instance: string;
  readonly app: string;
  /** Raw Ed25519 key. */
  readonly renewalKey: Uint8Array;
  readonly joinedAtMs: number;
  /** Id of the token by which it joined. */
  readonly token: string;
}

/** Where members are kept. What it resolved is durable. */
export interface MemberStore {
  find(instance: string): Promise<Member | undefined>;
  /** Adds it and gives it back; where the instance has a member already, gives that one. */
  add(member: Member): Promise<Member>;
  /** Uses a token up for an instance. Gives the instance that has it: of two at once, one is told its own. */
  spend(token: string, instance: string): Promise<string>;
}

/** Which app the holders of tokens for a type of node may be. */
export interface IssuingRule {
  readonly app: string;
  /** Type of node, as in `postern key create NAME --join TYPE`. */
  readonly join: string;
}

export interface IssuingRules {
  readonly trustDomain: string;
  readonly apps: readonly IssuingRule[];
  readonly lifetimeMs: number;
  /** A token joins one machine; false: any number. */
  readonly isSingleUse: boolean;
  readonly revoked: Revoked;
}

/** Who holds a join token; `admin` may join any app that has a rule and is never used up. */
export interface TokenHolder {
  readonly token: string;
  readonly types: readonly string[] | 'admin';
}

export interface IssuingOptions {
  readonly authority: CertificateAuthority;
  readonly members: MemberStore;
  readonly rules: () => IssuingRules;
  readonly nowMs: () => number;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly verifyEd25519: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
}

/** A proof is believed within these five minutes of our clock. */
export const proofAgeMsMax = 300_000;
/** Latest proofs that are remembered; beyond, the oldest is forgotten. A repeated proof gives nobody a key. */
const seenMax = 65_536;
const instanceBytes = 20;
const anyType = '*';

/**
 * The mesh's own authority at work: certificates for whoever holds a join token, and again for whoever holds the renewal
 * key that came with it. What a certificate says is ours alone: the app by rule, the instance by lot.
 */
export class Issuing {
  readonly #options: IssuingOptions;
  readonly #seen = new Map<string, number>();

  constructor(options: IssuingOptions) {
    this.#options = options;
  }

  async answer(
    request: EnrolmentRequest,
    holder: () => Promise<Result<TokenHolder, Refusal>>,
  ): Promise<Result<EnrolmentAnswer, Refusal>> {
    const { nowMs } = this.#options;
    if (Math.abs(nowMs() - request.atMs) > proofAgeMsMax) {
      return refuse('credential_expired', 'The proof is not of now: compare the clocks.');
    }
    if (request.kind === 'renew') return this.#renew(request);
    const held = await holder();
    return held.ok ? this.#join(request, held.value) : held;
  }

  /** The trust bundle now, as SPIFFE publishes it. */
  bundle(): JsonValue {
    const { authority, nowMs } = this.#options;
    const { authorities, sequence } = authority.bundle(nowMs());
    const certificates = authorities.map((bytes) => {
      const parsed = parseCertificate(bytes);
      return present(parsed.ok ? parsed.value : undefined, 'an authority of ours is readable');
    });
    const document = { authorities: certificates, sequence, refreshHintMs: undefined };
    // The document is of JSON values; its type says only that it is an object.
    return spiffeBundleDocument(document) as JsonValue;
  }

  async #join(
    request: JoinRequest,
    holder: TokenHolder,
  ): Promise<Result<EnrolmentAnswer, Refusal>> {
    const { members, rules, nowMs } = this.#options;
    const { app, renewalKey } = request;
    const { apps, isSingleUse, revoked } = rules();
    const named = apps.filter((rule) => rule.app === app);
    const { types } = holder;
    const isAllowed =
      types === 'admin' ? named.length > 0 : named.some(({ join }) => opens(types, join));
    if (!isAllowed) return refuse('access_denied', `This token is not one for the app ${app}.`);
    if (revoked.apps.has(app)) return refuse('access_denied', `The app ${app} is revoked.`);
    if (!this.#isProven(request, app, renewalKey)) return unproven();
    const drawn = toHex(randomBytes(instanceBytes));
    const { token } = holder;
    // A machine that lost our answer asks again with the same key, and is the one that the token joined.
    const isSpent = isSingleUse && types !== 'admin';
    const instance = isSpent ? await members.spend(token, drawn) : drawn;
    const wanted: Member = { instance, app, renewalKey, joinedAtMs: nowMs(), token };
    const member = await members.add(wanted);
    if (member.app !== app || !equalBytes(member.renewalKey, renewalKey)) {
      return refuse('credential_revoked', 'This token has joined a machine already: make another.');
    }
    return this.#certify(app, instance, request.csr);
  }

  async #renew(request: RenewRequest): Promise<Result<EnrolmentAnswer, Refusal>> {
    const { instance, atMs } = request;
    const member = await this.#options.members.find(instance);
    if (member === undefined || !this.#isProven(request, instance, member.renewalKey)) {
      return unproven();
    }
    const { revoked } = this.#options.rules();
    if (revoked.apps.has(member.app) || revoked.instances.has(instance)) {
      return refuse('access_denied', `${instance} is revoked: it gets no certificate.`);
    }
    if (atMs <= (this.#seen.get(instance) ?? 0)) {
      return refuse('credential_invalid', 'This proof, or a later one, was here before.');
    }
    this.#remember(instance, atMs);
    return this.#certify(member.app, instance, request.csr);
  }

  async #certify(
    app: string,
    instance: string,
    csr: Uint8Array,
  ): Promise<Result<EnrolmentAnswer, Refusal>> {
    const { authority, rules, nowMs } = this.#options;
    const { trustDomain, lifetimeMs } = rules();
    const uri = workloadSpiffeId(trustDomain, { appId: app, instanceId: instance });
    const spiffeId = present(parseSpiffeId(uri ?? ''), 'app and instance make a SPIFFE ID');
    const identity = { spiffeId, dnsNames: [] };
    const issued = await authority.issue({ identity, request: csr, at: nowMs(), lifetimeMs });
    if (!issued.ok) {
      const { code, detail } = issued.error;
      if (code === 'no-signer') return refuse('state_unavailable', `No key signs now: ${detail}.`);
      return refuse('invalid_request', `The certificate request is refused: ${detail}.`);
    }
    const { chain } = issued.value;
    return ok({ app, instance, trustDomain, chain, bundle: this.bundle() });
  }

  #isProven(request: EnrolmentRequest, whom: string, key: Uint8Array): boolean {
    const { sha256, verifyEd25519 } = this.#options;
    const { kind, atMs, csr, proof } = request;
    return verifyEd25519(key, enrolmentText({ kind, whom, atMs }, sha256(csr)), proof);
  }

  #remember(instance: string, atMs: number): void {
    this.#seen.delete(instance);
    this.#seen.set(instance, atMs);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > seenMax && oldest !== undefined) this.#seen.delete(oldest);
  }
}

function opens(types: readonly string[], join: string): boolean {
  return types.includes(join) || types.includes(anyType);
}

/** The same words whether the instance or the signature is unknown: nobody learns who has joined. */
function unproven(): Result<never, Refusal> {
  return refuse('credential_invalid', 'The proof is not of a key that has joined.');
}
