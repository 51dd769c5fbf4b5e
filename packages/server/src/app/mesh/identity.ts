import { lstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import type { SpiffeBundle } from '@postern/core/attest/x509';
import type { Result } from '@postern/core/base';
import { err, ok, toHex, utf8 } from '@postern/core/base';
import type { MeshConfig } from '@postern/core/contract';
import { DstackAgent, findAgent, parseAddress } from '../../adapters/attestor-dstack/index.ts';
import { nodeSignatureVerifier } from '../../adapters/crypto-node/index.ts';
import {
  createAgentSource,
  createAuthoritySource,
  createFileSource,
} from '../../adapters/mesh-identity/index.ts';
import { secretReader } from '../../adapters/secrets/index.ts';
import type { Egress } from '../../http/index.ts';
import type { IdentitySource, MeshTrust, SessionProof } from '../../mesh/index.ts';

export interface OwnIdentitySurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stateDir: string;
  readonly egress: Egress;
  readonly nowMs: () => number;
  readonly onProblem: (message: string) => void;
}

/** Where our certificate comes from, and the guest agent behind it, where there is one. */
export interface OwnSource {
  readonly source: IdentitySource;
  readonly agent: DstackAgent | undefined;
}

/** The identity that a configuration names. A text says why there is none. */
export async function ownSourceOf(
  config: MeshConfig,
  surroundings: OwnIdentitySurroundings,
): Promise<Result<OwnSource, string>> {
  const { identity } = config;
  if ('keyFile' in identity) {
    const { certificateFile, keyFile } = identity;
    const uid = process.geteuid?.();
    return ok({ source: createFileSource({ certificateFile, keyFile, uid }), agent: undefined });
  }
  if ('authority' in identity) return byAuthority(identity.authority, surroundings);
  if ('spiffe' in identity) return bySpiffe(identity.spiffe, surroundings);
  return byAgent(identity.agent, surroundings);
}

type IdentityOf<K extends string> = Extract<MeshConfig['identity'], Record<K, unknown>>;

function byAgent(
  place: string,
  { env, nowMs }: OwnIdentitySurroundings,
): Result<OwnSource, string> {
  const found =
    place === 'auto'
      ? findAgent(env, isSocket)
      : { address: parseAddress(place), dialect: 'dstack' as const };
  if (found?.address === undefined) {
    return err(
      'mesh.identity: there is no guest agent here. In a dstack VM mount /var/run/dstack.sock; elsewhere use authority, spiffe, or certificateFile and keyFile.',
    );
  }
  if (found.dialect !== 'dstack') {
    return err('mesh.identity: this guest agent (tappd) is too old to certify keys with evidence.');
  }
  const { address } = found;
  const agent = new DstackAgent({ address });
  const name = `guest agent ${address.kind === 'socket' ? address.path : address.url.href}`;
  return ok({ source: createAgentSource({ agent, name, nowMs }), agent });
}

const loopbackHosts: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

async function byAuthority(
  { url, app, token, caFile }: IdentityOf<'authority'>['authority'],
  { env, stateDir, egress, nowMs, onProblem }: OwnIdentitySurroundings,
): Promise<Result<OwnSource, string>> {
  let caPem: string | undefined;
  try {
    caPem = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
  } catch (cause) {
    return err(`mesh.identity.authority.caFile: ${cause instanceof Error ? cause.message : ''}`);
  }
  const place = new URL(url);
  if (place.protocol === 'http:' && !loopbackHosts.has(place.hostname)) {
    onProblem(`mesh.identity.authority.url is ${place.origin}: only for a private network`);
  }
  const source = createAuthoritySource({
    url: place,
    app,
    token: token === undefined ? undefined : secretReader(token, { env, nowMs, egress }),
    file: path.join(stateDir, 'mesh', 'enrolment.json'),
    uid: process.geteuid?.(),
    ...(caPem === undefined ? {} : { caPem }),
    egress,
    signatures: nodeSignatureVerifier,
    nowMs,
  });
  return ok({ source, agent: undefined });
}

async function bySpiffe(
  { socket, id }: IdentityOf<'spiffe'>['spiffe'],
  { env, nowMs, onProblem }: OwnIdentitySurroundings,
): Promise<Result<OwnSource, string>> {
  const place = socket === 'auto' ? env['SPIFFE_ENDPOINT_SOCKET'] : socket;
  if (place === undefined || place === '') {
    return err('mesh.identity.spiffe: SPIFFE_ENDPOINT_SOCKET is not set; give socket.');
  }
  // The library behind it is loaded only here.
  const { createSpiffeSource, workloadApiAddress } = await import(
    '../../adapters/mesh-identity/spiffe/index.ts'
  );
  const address = workloadApiAddress(place);
  if (address === undefined) {
    return err(`mesh.identity.spiffe.socket: ${place} is neither a path nor unix:/path.`);
  }
  const source = createSpiffeSource({ address, id, nowMs, onProblem });
  return ok({ source, agent: undefined });
}

/** Evidence for sessions, by the guest agent of this machine. A text: there is none. */
export function sessionProofOf(
  mode: MeshConfig['sessionProof'],
  own: DstackAgent | undefined,
  env: OwnIdentitySurroundings['env'],
): Result<SessionProof | undefined, string> {
  if (mode === 'off') return ok(undefined);
  const agent = own ?? agentHere(env);
  if (agent === undefined) return err(`mesh.sessionProof: "${mode}" needs a guest agent here`);
  return ok({ mode, prove: (reportData, signal) => evidenceOf(agent, reportData, signal) });
}

/** The guest agent of this machine, where dstack's own clients look for it. */
export function agentHere(env: OwnIdentitySurroundings['env']): DstackAgent | undefined {
  const found = findAgent(env, isSocket);
  return found?.dialect === 'dstack' && found.address !== undefined
    ? new DstackAgent({ address: found.address })
    : undefined;
}

/** A versioned attestation; of an agent that is too old for it, its quote with the event log. */
export async function evidenceOf(
  agent: DstackAgent,
  reportData: Uint8Array,
  signal?: AbortSignal,
): Promise<Result<Uint8Array, string>> {
  const attested = await agent.attest(reportData, signal);
  if (attested.ok) return attested;
  const quoted = await agent.getQuote(reportData, signal);
  if (!quoted.ok) return err(quoted.error.message);
  const { quote, eventLog, reportData: shown, vmConfig, attestation } = quoted.value;
  const answer = {
    quote: toHex(quote),
    event_log: eventLog,
    report_data: toHex(shown),
    vm_config: vmConfig,
    ...(attestation.length === 0 ? {} : { attestation: toHex(attestation) }),
  };
  return ok(utf8(JSON.stringify(answer)));
}

function isSocket(file: string): boolean {
  try {
    return lstatSync(file).isSocket();
  } catch {
    return false;
  }
}

/**
 * Trust as configured, with the bundles that came with our own identity. A domain for which a file is configured is
 * believed by that file alone.
 */
export function trustWith(
  trust: () => MeshTrust,
  bundles: (() => ReadonlyMap<string, SpiffeBundle>) | undefined,
): () => MeshTrust {
  if (bundles === undefined) return trust;
  let seen: { readonly trust: MeshTrust; readonly bundles: unknown } | undefined;
  let merged: MeshTrust | undefined;
  return () => {
    const now = trust();
    const own = bundles();
    if (merged === undefined || seen?.trust !== now || seen.bundles !== own) {
      merged = { ...now, bundles: new Map([...own, ...now.bundles]) };
      seen = { trust: now, bundles: own };
    }
    return merged;
  };
}
