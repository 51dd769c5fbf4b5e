/**
 * @module The machine's side of joining by evidence: a challenge, evidence over it, and what is given for it.
 *
 * Promises: evidence is made over the challenge of this very call; a key leaves as `Secret`. Refuses: redirects, answers of
 * more than 64 KiB. Limits: 30 s for each call.
 */
import { createHash } from 'node:crypto';
import {
  attestedJoinPaths,
  joinNonceBytes,
  type JoinPurpose,
  joinReportData,
} from '@postern/core/attest/enrolment';
import {
  err,
  fromBase64,
  isJsonObject,
  type JsonObject,
  ok,
  readJson,
  type Result,
  Secret,
  toBase64,
} from '@postern/core/base';
import type { Egress } from '../../http/index.ts';

export interface AttestedJoinOptions {
  /** Of the control listener: `http://gateway:8000`. */
  readonly server: URL;
  /** Evidence of this machine over 64 bytes. */
  readonly prove: (
    reportData: Uint8Array,
    signal: AbortSignal,
  ) => Promise<Result<Uint8Array, string>>;
  readonly egress: Egress;
  readonly signal: AbortSignal;
}

export interface AttestedInvitation {
  readonly key: Secret;
  readonly serverUrl: string;
  readonly app: string;
}

/** What the server answers to whoever may join: the one place in which the key is written out. */
export function invitationDocument(given: {
  readonly key: Secret;
  readonly url: string;
  readonly app: string;
  readonly expiresAtMs: number;
}): JsonObject {
  return {
    pre_auth_key: given.key.reveal(),
    server_url: given.url,
    expires_at: new Date(given.expiresAtMs).toISOString(),
    app_id: given.app,
  };
}

/** The key as the command line shows it, once, to whoever asked for it. */
export function shownKey({ key }: AttestedInvitation): string {
  return key.reveal();
}

const timeouts = { connectMs: 5_000, firstByteMs: 30_000, idleMs: 10_000, totalMs: 30_000 };
const answerBytesMax = 65_536;
const hashes = {
  sha256: (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest()),
  sha512: (bytes: Uint8Array) => new Uint8Array(createHash('sha512').update(bytes).digest()),
};

/** A key of the network for evidence of what this machine runs. Its node waits until it is bound. */
export async function joinByEvidence(
  options: AttestedJoinOptions,
  name: string,
): Promise<Result<AttestedInvitation, string>> {
  const answer = await proven(options, { kind: 'join' }, { name });
  if (!answer.ok) return answer;
  const { pre_auth_key: key, server_url: serverUrl, app_id: app } = answer.value;
  if (typeof key !== 'string' || typeof serverUrl !== 'string' || typeof app !== 'string') {
    return err(`${options.server.origin} answered without a key`);
  }
  return ok({ key: new Secret(key), serverUrl, app });
}

/** Binds the node key of this machine (`nodekey:…`, as `tailscale status --json` shows it), which lets it in. */
export async function bindNode(
  options: AttestedJoinOptions,
  nodeKey: string,
): Promise<Result<{ readonly node: string }, string>> {
  const answer = await proven(options, { kind: 'bind', nodeKey }, { node_key: nodeKey });
  if (!answer.ok) return answer;
  const { node } = answer.value;
  return typeof node === 'string'
    ? ok({ node })
    : err(`${options.server.origin} answered without a node`);
}

async function proven(
  options: AttestedJoinOptions,
  purpose: JoinPurpose,
  more: JsonObject,
): Promise<Result<JsonObject, string>> {
  const challenge = await call(options, attestedJoinPaths.challenge, {});
  if (!challenge.ok) return challenge;
  const { nonce: text } = challenge.value;
  const nonce = typeof text === 'string' ? fromBase64(text) : undefined;
  if (nonce?.length !== joinNonceBytes) return err('the challenge is malformed');
  const reportData = joinReportData(purpose, nonce, hashes);
  const evidence = await options.prove(reportData, options.signal);
  if (!evidence.ok) return err(`no evidence: ${evidence.error}`);
  const path = attestedJoinPaths[purpose.kind];
  return call(options, path, {
    nonce: toBase64(nonce),
    evidence: toBase64(evidence.value),
    ...more,
  });
}

async function call(
  { server, egress, signal }: AttestedJoinOptions,
  path: string,
  body: JsonObject,
): Promise<Result<JsonObject, string>> {
  const answer = await egress({
    method: 'POST',
    url: new URL(path, server),
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
    signal,
    timeouts,
    permission: { internal: true },
  });
  if (!answer.ok) return err(`${server.origin}: ${answer.error.message}`);
  const bytes = await answer.value.readAll(answerBytesMax);
  const json = bytes.ok ? readJson(bytes.value) : bytes;
  const value = json.ok && isJsonObject(json.value) ? json.value : undefined;
  if (answer.value.status === 200 && value !== undefined) return ok(value);
  const error = value?.['error'];
  const said = error !== undefined && isJsonObject(error) ? error['message'] : undefined;
  const why = typeof said === 'string' ? said.slice(0, 500) : `status ${answer.value.status}`;
  return err(`${server.origin}: ${why}`);
}
