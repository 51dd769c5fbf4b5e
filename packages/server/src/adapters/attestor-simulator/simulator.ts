import { createHash, createHmac } from 'node:crypto';
import { concatBytes, toHex, utf8 } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import type { IntelCollateralSource } from '@postern/core/attest';
import {
  bootEvents,
  eventLogJson,
  replayEvents,
  writeMsgpackForm,
  writeScaleForm,
} from './boot.ts';
import type { SimulatedApp } from './boot.ts';
import { createCollateral } from './intel-collateral.ts';
import { createIntelPki, simulatedPlatform } from './intel-pki.ts';
import type { IntelPki } from './intel-pki.ts';
import { distinguishedName, issueCertificate, keyUsage, pemOf } from './issue.ts';
import type { Extension, Issuer } from './issue.ts';
import { SigningKey } from './signing-key.ts';
import { createTdQuote } from './tdx-quote.ts';

export interface SimulatorOptions {
  /** Everything follows from it: two simulators of one seed are one machine under one KMS. */
  readonly seed: string;
  /** Which app runs here; ids follow from the seed where they are not given. */
  readonly app?: Partial<Omit<SimulatedApp, 'keyProvider'>>;
  readonly nowMs: () => number;
}

export interface TlsKeyRequest {
  readonly subject: string;
  readonly altNames: readonly string[];
  readonly usageRaTls: boolean;
  readonly usageServerAuth: boolean;
  readonly usageClientAuth: boolean;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
}

export interface TlsKey {
  readonly keyPem: string;
  /** PEM, leaf first. */
  readonly chain: readonly string[];
}

const arc = '1.3.6.1.4.1.62397.1';
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const usageOids = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const;
const kmsValidity = {
  notBeforeMs: Date.UTC(2024, 0, 1),
  notAfterMs: Date.UTC(2049, 0, 1),
} as const;

/**
 * A guest agent without hardware: keys, quotes, certificates and collateral with valid signatures under a
 * hierarchy that follows from a seed. A verifier believes none of it unless it is given `rootHash`.
 */
export class Simulator {
  readonly pki: IntelPki;
  readonly app: SimulatedApp;
  readonly kmsRoot: Issuer & { readonly certificate: Uint8Array };
  readonly #appCa: Issuer & { readonly certificate: Uint8Array };
  readonly #seed: Uint8Array;
  readonly #nowMs: () => number;
  #serial = 1000;

  constructor({ seed, app = {}, nowMs }: SimulatorOptions) {
    this.#seed = new Uint8Array(createHash('sha256').update(`postern-simulator:${seed}`).digest());
    this.#nowMs = nowMs;
    this.pki = createIntelPki(this.#seed);
    const name = distinguishedName('Dstack KMS CA', 'Dstack');
    const kms = { name, key: new SigningKey(this.#seed, 'kms-root') };
    const composeHash = app.composeHash ?? this.#derived('compose-hash', 32);
    this.app = {
      composeHash,
      appId: app.appId ?? composeHash.slice(0, 40),
      instanceId: app.instanceId ?? this.#derived('instance-id', 20),
      keyProvider: { name: 'kms', id: toHex(kms.key.spki) },
    };
    this.kmsRoot = { ...kms, certificate: this.#issueAuthority(kms, kms, 1, []) };
    const appCa = {
      name: distinguishedName('Dstack App CA'),
      key: new SigningKey(this.#seed, `app-ca:${this.app.appId}`),
    };
    const claims = [this.#claim('3', this.#appIdBytes()), this.#claim('4', utf8('app:ca'))];
    this.#appCa = { ...appCa, certificate: this.#issueAuthority(appCa, kms, 0, claims) };
  }

  /** SHA-256 of the simulated Intel root, hex: what a verifier pins under its insecure flag. */
  get rootHash(): string {
    return createHash('sha256').update(this.pki.root.certificate).digest('hex');
  }

  /** What a verifier calls this machine: SHA-256 of the platform's PPID, hex. */
  get deviceId(): string {
    return createHash('sha256').update(Buffer.from(simulatedPlatform.ppid, 'hex')).digest('hex');
  }

  quote(reportData: Uint8Array): { readonly quote: Uint8Array; readonly eventLog: string } {
    const events = bootEvents(this.app);
    const rtmr3 = replayEvents(events);
    const [a, b, c] = [0x10, 0x11, 0x12].map((byte) => new Uint8Array(48).fill(byte));
    const rtmrs = [a, b, c, rtmr3].filter((register) => register !== undefined);
    const mrConfigId = new Uint8Array(48);
    mrConfigId[0] = 1;
    mrConfigId.set(Buffer.from(this.app.composeHash, 'hex'), 1);
    const quote = createTdQuote(this.pki, { reportData, rtmrs, mrConfigId });
    return { quote, eventLog: eventLogJson(events) };
  }

  attestation(reportData: Uint8Array, form: 'scale' | 'msgpack' = 'msgpack'): Uint8Array {
    const { quote } = this.quote(reportData);
    const evidence = { quote, events: bootEvents(this.app), reportData, config: '{}' };
    return form === 'scale' ? writeScaleForm(evidence) : writeMsgpackForm(evidence);
  }

  /** Collateral that is current for a week around now. */
  collateral(): IntelCollateralSource {
    const nowMs = this.#nowMs();
    return createCollateral(this.pki, {
      issuedAtMs: nowMs - dayMs,
      nextUpdateMs: nowMs + 6 * dayMs,
    });
  }

  /** A fresh key with a certificate, issued as dstack's KMS does; with evidence where it is asked for. */
  tlsKey(request: TlsKeyRequest): TlsKey {
    this.#serial += 1;
    const key = new SigningKey(this.#seed, `tls:${this.#serial}:${this.#nowMs()}`);
    const nowMs = this.#nowMs();
    const leaf = issueCertificate(
      {
        subject: distinguishedName(request.subject),
        spki: key.spki,
        serial: this.#serial,
        notBeforeMs: request.notBeforeMs ?? nowMs - hourMs,
        notAfterMs: request.notAfterMs ?? nowMs + dayMs,
        usages: [keyUsage.digitalSignature],
        extensions: this.#leafExtensions(request, key),
      },
      this.#appCa,
    );
    const ders = [leaf, this.#appCa.certificate, this.kmsRoot.certificate];
    return {
      keyPem: pemOf('PRIVATE KEY', key.pkcs8()),
      chain: ders.map((bytes) => pemOf('CERTIFICATE', bytes)),
    };
  }

  /** A deterministic application key, as `GetKey` gives it: 32 bytes for a path. */
  appKey(path: string): Uint8Array {
    return new Uint8Array(createHmac('sha256', this.#seed).update(`app-key:${path}`).digest());
  }

  #leafExtensions(request: TlsKeyRequest, key: SigningKey): Extension[] {
    const purposes = [
      ...(request.usageServerAuth ? [usageOids.server] : []),
      ...(request.usageClientAuth ? [usageOids.client] : []),
    ];
    const extensions = [this.#claim('3', this.#appIdBytes()), this.#claim('4', utf8('app:custom'))];
    if (purposes.length > 0) {
      const value = der.sequence(...purposes.map((purpose) => der.oid(purpose)));
      extensions.push({ oid: '2.5.29.37', value });
    }
    if (request.altNames.length > 0) {
      const names = request.altNames.map((name) => der.element(0x82, utf8(name)));
      extensions.push({ oid: '2.5.29.17', value: der.sequence(...names) });
    }
    if (request.usageRaTls) {
      const reportData = createHash('sha512').update('ratls-cert:').update(key.spki).digest();
      extensions.push(this.#claim('8', this.attestation(new Uint8Array(reportData))));
    }
    return extensions;
  }

  /** An extension of dstack's arc: the value is an OCTET STRING inside the extension's own. */
  #claim(suffix: string, value: Uint8Array): Extension {
    return { oid: `${arc}.${suffix}`, value: der.octetString(value) };
  }

  #issueAuthority(
    subject: Issuer,
    issuer: Issuer,
    pathLength: number,
    extensions: readonly Extension[],
  ): Uint8Array {
    const request = {
      ...kmsValidity,
      subject: subject.name,
      spki: subject.key.spki,
      serial: pathLength === 1 ? 1 : 2,
      authority: { pathLength },
      usages: [keyUsage.keyCertSign, keyUsage.cRLSign],
      extensions,
    };
    return issueCertificate(request, issuer);
  }

  #appIdBytes(): Uint8Array {
    return new Uint8Array(Buffer.from(this.app.appId, 'hex'));
  }

  #derived(label: string, bytes: number): string {
    return createHmac('sha256', this.#seed)
      .update(label)
      .digest('hex')
      .slice(0, 2 * bytes);
  }
}

/** `report_data` padded to 64 bytes, as the guest agent pads it. */
export function padReportData(bytes: Uint8Array): Uint8Array {
  return concatBytes(bytes, new Uint8Array(64 - bytes.length));
}
