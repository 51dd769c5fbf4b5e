import { fromHex, ok, Secret } from '@postern/core/base';
import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import type { AgentAddress } from './address.ts';
import { callAgent, fail } from './call.ts';
import type { AgentError } from './call.ts';

export interface AgentOptions {
  readonly address: AgentAddress;
  /** Quotes queue in the guest, one at a time; each takes some tens of milliseconds. */
  readonly timeoutMs?: number;
}

export interface TlsKeyRequest {
  readonly subject: string;
  readonly altNames?: readonly string[];
  readonly usageRaTls?: boolean;
  readonly usageServerAuth?: boolean;
  readonly usageClientAuth?: boolean;
  /** Only newer agents read these three: ask `version` before. */
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly withAppInfo?: boolean;
}

export interface TlsKey {
  /** PEM, PKCS #8. */
  readonly key: Secret;
  /** PEM, leaf first. */
  readonly certificateChain: readonly string[];
}

export interface AppKey {
  readonly key: Secret;
  readonly signatureChain: readonly Uint8Array[];
}

export interface Quote {
  /** Empty where the platform is not TDX. */
  readonly quote: Uint8Array;
  /** JSON text. */
  readonly eventLog: string;
  readonly reportData: Uint8Array;
  /** JSON text. */
  readonly vmConfig: string;
  /** Empty on TDX. */
  readonly attestation: Uint8Array;
}

export interface AgentInfo {
  readonly appId: string;
  readonly instanceId: string;
  readonly deviceId: string;
  readonly appName: string;
  readonly composeHash: string;
  /** JSON texts. */
  readonly tcbInfo: string;
  readonly keyProviderInfo: string;
  readonly vmConfig: string;
}

export interface Signature {
  readonly signature: Uint8Array;
  readonly signatureChain: readonly Uint8Array[];
  readonly publicKey: Uint8Array;
}

export type SignatureAlgorithm = 'ed25519' | 'secp256k1' | 'secp256k1_prehashed';

type Answer<T> = Promise<Result<T, AgentError>>;

const timeoutMsDefault = 10_000;
const reportDataBytesMax = 64;

/** Client of dstack's guest agent (0.4 and later). Answers are checked field by field, never assumed. */
export class DstackAgent {
  readonly #options: Required<AgentOptions>;

  constructor({ address, timeoutMs = timeoutMsDefault }: AgentOptions) {
    this.#options = { address, timeoutMs };
  }

  /** A new key with a certificate of the KMS; with evidence only where `usageRaTls` is set. */
  getTlsKey(request: TlsKeyRequest, signal?: AbortSignal): Answer<TlsKey> {
    const { notBeforeMs, notAfterMs, withAppInfo } = request;
    const body = {
      subject: request.subject,
      alt_names: request.altNames ?? [],
      usage_ra_tls: request.usageRaTls ?? false,
      usage_server_auth: request.usageServerAuth ?? false,
      usage_client_auth: request.usageClientAuth ?? false,
      ...(notBeforeMs === undefined ? {} : { not_before: Math.floor(notBeforeMs / 1000) }),
      ...(notAfterMs === undefined ? {} : { not_after: Math.floor(notAfterMs / 1000) }),
      ...(withAppInfo === undefined ? {} : { with_app_info: withAppInfo }),
    };
    return this.#call('/GetTlsKey', body, readTlsKey, signal);
  }

  /** A key that follows from the app and the path. The algorithm does not separate keys: the path must. */
  getKey(
    request: { readonly path: string; readonly purpose: string; readonly algorithm?: string },
    signal?: AbortSignal,
  ): Answer<AppKey> {
    const { path, purpose, algorithm = 'secp256k1' } = request;
    return this.#call(
      '/GetKey',
      { path, purpose, algorithm },
      (fields) => ({
        key: new Secret(fields.text('key')),
        signatureChain: fields.hexList('signature_chain'),
      }),
      signal,
    );
  }

  /** A quote over at most 64 bytes, which the agent pads with zeros on the right. */
  getQuote(reportData: Uint8Array, signal?: AbortSignal): Answer<Quote> {
    return this.#call(
      '/GetQuote',
      { report_data: reportDataHex(reportData) },
      (fields) => ({
        quote: fields.hex('quote'),
        eventLog: fields.text('event_log'),
        reportData: fields.hex('report_data'),
        vmConfig: fields.text('vm_config'),
        attestation: fields.hex('attestation'),
      }),
      signal,
    );
  }

  /** A versioned attestation. Agents before 0.5.6 do not have it. */
  attest(reportData: Uint8Array, signal?: AbortSignal): Answer<Uint8Array> {
    const body = { report_data: reportDataHex(reportData) };
    return this.#call('/Attest', body, (fields) => fields.hex('attestation'), signal);
  }

  info(signal?: AbortSignal): Answer<AgentInfo> {
    return this.#call('/Info', {}, readInfo, signal);
  }

  /** Extends RTMR3. Only agents from 0.5.0 to 0.5.11 have it. */
  emitEvent(event: string, payload: Uint8Array, signal?: AbortSignal): Answer<true> {
    const body = { event, payload: Buffer.from(payload).toString('hex') };
    return this.#call('/EmitEvent', body, () => true, signal);
  }

  sign(algorithm: SignatureAlgorithm, data: Uint8Array, signal?: AbortSignal): Answer<Signature> {
    return this.#call(
      '/Sign',
      { algorithm, data: Buffer.from(data).toString('hex') },
      (fields) => ({
        signature: fields.hex('signature'),
        signatureChain: fields.hexList('signature_chain'),
        publicKey: fields.hex('public_key'),
      }),
      signal,
    );
  }

  verify(
    check: {
      readonly algorithm: SignatureAlgorithm;
      readonly data: Uint8Array;
      readonly signature: Uint8Array;
      readonly publicKey: Uint8Array;
    },
    signal?: AbortSignal,
  ): Answer<boolean> {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const body = {
      algorithm: check.algorithm,
      data: hex(check.data),
      signature: hex(check.signature),
      public_key: hex(check.publicKey),
    };
    return this.#call('/Verify', body, (fields) => fields.flag('valid'), signal);
  }

  /** Output of NVIDIA's attestation tool, or empty. Believed only by its hash in the measured boot. */
  gpuInfo(signal?: AbortSignal): Answer<string> {
    return this.#call('/GpuInfo', {}, (fields) => fields.text('attestation'), signal);
  }

  /** Agents before 0.5.7 do not have it. */
  version(signal?: AbortSignal): Answer<{ readonly version: string; readonly rev: string }> {
    return this.#call(
      '/Version',
      {},
      (fields) => ({ version: fields.text('version'), rev: fields.text('rev') }),
      signal,
    );
  }

  #call<T>(
    path: string,
    body: JsonObject,
    read: (fields: Fields) => T,
    signal?: AbortSignal,
  ): Answer<T> {
    return callAndRead({ ...this.#options, path, body, ...(signal && { signal }) }, read);
  }
}

/** Client of the agent before 0.5 (`tappd`), for guests that were never updated. */
export class TappdAgent {
  readonly #options: Required<AgentOptions>;

  constructor({ address, timeoutMs = timeoutMsDefault }: AgentOptions) {
    this.#options = { address, timeoutMs };
  }

  deriveKey(
    request: {
      readonly path: string;
      readonly subject: string;
      readonly altNames?: readonly string[];
    },
    signal?: AbortSignal,
  ): Answer<TlsKey> {
    const { path, subject, altNames = [] } = request;
    return this.#call('DeriveKey', { path, subject, alt_names: altNames }, readTlsKey, signal);
  }

  /** A quote over a hash of the data: `app-data:` before it, SHA-512, unless told otherwise. */
  tdxQuote(
    request: {
      readonly reportData: Uint8Array;
      readonly hashAlgorithm?: string;
      readonly prefix?: string;
    },
    signal?: AbortSignal,
  ): Answer<{ readonly quote: Uint8Array; readonly eventLog: string }> {
    const body = {
      report_data: Buffer.from(request.reportData).toString('hex'),
      hash_algorithm: request.hashAlgorithm ?? '',
      prefix: request.prefix ?? '',
    };
    return this.#call('TdxQuote', body, readLegacyQuote, signal);
  }

  rawQuote(
    reportData: Uint8Array,
    signal?: AbortSignal,
  ): Answer<{ readonly quote: Uint8Array; readonly eventLog: string }> {
    const body = { report_data: reportDataHex(reportData) };
    return this.#call('RawQuote', body, readLegacyQuote, signal);
  }

  info(signal?: AbortSignal): Answer<AgentInfo> {
    return this.#call('Info', {}, readInfo, signal);
  }

  #call<T>(
    method: string,
    body: JsonObject,
    read: (fields: Fields) => T,
    signal?: AbortSignal,
  ): Answer<T> {
    const path = `/prpc/Tappd.${method}`;
    return callAndRead({ ...this.#options, path, body, ...(signal && { signal }) }, read);
  }
}

async function callAndRead<T>(
  call: Parameters<typeof callAgent>[0],
  read: (fields: Fields) => T,
): Answer<T> {
  const answer = await callAgent(call);
  if (!answer.ok) return answer;
  const fields = new Fields(answer.value);
  const value = read(fields);
  return fields.problem === undefined
    ? ok(value)
    : fail('agent_answer_malformed', `${call.path}: ${fields.problem}`);
}

/**
 * Fields of an answer. An absent field is its empty value, as in protobuf, whose JSON form the agent
 * writes; one of another kind makes the whole answer malformed.
 */
class Fields {
  readonly #object: JsonObject;
  #problem: string | undefined;

  constructor(object: JsonObject) {
    this.#object = object;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  text(name: string): string {
    const value = this.#object[name] ?? '';
    return typeof value === 'string' ? value : this.#wrong(name, '');
  }

  flag(name: string): boolean {
    const value = this.#object[name] ?? false;
    return typeof value === 'boolean' ? value : this.#wrong(name, false);
  }

  hex(name: string): Uint8Array {
    return fromHex(this.text(name)) ?? this.#wrong(name, new Uint8Array());
  }

  texts(name: string): readonly string[] {
    return this.#items(name).map((item) =>
      typeof item === 'string' ? item : this.#wrong(name, ''),
    );
  }

  hexList(name: string): readonly Uint8Array[] {
    return this.texts(name).map((text) => fromHex(text) ?? this.#wrong(name, new Uint8Array()));
  }

  #items(name: string): readonly JsonValue[] {
    const value = this.#object[name] ?? [];
    return Array.isArray(value) ? value : this.#wrong(name, []);
  }

  #wrong<T>(name: string, empty: T): T {
    this.#problem ??= `${name} is of another kind`;
    return empty;
  }
}

function readTlsKey(fields: Fields): TlsKey {
  return {
    key: new Secret(fields.text('key')),
    certificateChain: fields.texts('certificate_chain'),
  };
}

function readLegacyQuote(fields: Fields): {
  readonly quote: Uint8Array;
  readonly eventLog: string;
} {
  return { quote: fields.hex('quote'), eventLog: fields.text('event_log') };
}

function readInfo(fields: Fields): AgentInfo {
  return {
    appId: fields.text('app_id'),
    instanceId: fields.text('instance_id'),
    deviceId: fields.text('device_id'),
    appName: fields.text('app_name'),
    composeHash: fields.text('compose_hash'),
    tcbInfo: fields.text('tcb_info'),
    keyProviderInfo: fields.text('key_provider_info'),
    vmConfig: fields.text('vm_config'),
  };
}

function reportDataHex(bytes: Uint8Array): string {
  // More than 64 bytes do not fit into any quote; cutting them would bind something else.
  if (bytes.length > reportDataBytesMax) throw new RangeError('report data of more than 64 bytes');
  return Buffer.from(bytes).toString('hex');
}
