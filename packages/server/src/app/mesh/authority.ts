import { createHash } from 'node:crypto';
import path from 'node:path';
import { enrolmentPath, readEnrolment, answerDocument } from '@postern/core/attest/enrolment';
import type { Result } from '@postern/core/base';
import { err, ok, present, readJson } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import { principalKey } from '@postern/core/identity';
import { createCertificateAuthority } from '../../adapters/ca-x509/index.ts';
import { nodeSignatureVerifier } from '../../adapters/crypto-node/index.ts';
import { generationFolder, openMemberFolder } from '../../adapters/mesh-authority/index.ts';
import { nodeEd25519Verify } from '../../adapters/segment-file/index.ts';
import { envelopeOf } from '../../control/api/envelope.ts';
import type { Control, ControlLine } from '../../control/index.ts';
import { outcomeOf } from '../../control/index.ts';
import type { GatewayClock, Identify } from '../../gateway/index.ts';
import type { HttpHandler, HttpReply, HttpRequest } from '../../http/index.ts';
import type { IssuingRules, Revoked, TokenHolder } from '../../mesh/index.ts';
import { Issuing, mergedRevoked, revokedOf } from '../../mesh/index.ts';
import type { Logger } from '../../observe/index.ts';
import { journalRevoked } from './journal-revoked.ts';

export interface MeshAuthorityOptions {
  readonly config: () => Config;
  /** Its journal also says who is revoked, beside the lists of the configuration. */
  readonly control: Pick<Control, 'snapshot'>;
  readonly stateDir: string;
  readonly clock: GatewayClock;
  readonly record: (line: ControlLine) => void;
  readonly logger: Logger;
}

/** The mesh's own authority on the control listener. */
export interface MeshAuthority {
  /** Its routes, before those of another handler. */
  handler(identify: Identify, otherwise: HttpHandler): HttpHandler;
  close(): void;
}

const bundlePath = '/api/mesh/bundle';
/** A certificate request, a key and a signature in base64. */
const bodyBytesMax = 65_536;
/** How often it looks whether a new generation is due; one is due every two weeks. */
const rotateLookMs = 3_600_000;

/** Opens the authority of a state folder, making its first key where there is none. */
export async function openMeshAuthority(
  options: MeshAuthorityOptions,
): Promise<Result<MeshAuthority, string>> {
  const { config, stateDir, clock, logger } = options;
  const journal = journalRevoked(options.control);
  const rules = (): IssuingRules | undefined => rulesOf(config(), journal());
  const first = rules();
  if (first === undefined) return err('mesh.authority: not configured');
  const dir = path.join(stateDir, 'mesh-authority');
  try {
    const authority = await createCertificateAuthority({
      trustDomain: first.trustDomain,
      store: generationFolder(path.join(dir, 'keys')),
      verifier: nodeSignatureVerifier,
    });
    await authority.rotate(clock.nowMs());
    const issuing = new Issuing({
      authority,
      members: await openMemberFolder(dir),
      rules: () => present(rules() ?? first, 'rules'),
      nowMs: () => clock.nowMs(),
      sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
      verifyEd25519: nodeEd25519Verify,
    });
    let timer: { clear(): void } | undefined;
    const look = (): void => {
      timer = clock.after(rotateLookMs, () => {
        authority
          .rotate(clock.nowMs())
          .catch((fault: unknown) => logger.error({ err: fault }, 'mesh authority'))
          .finally(look);
      });
    };
    look();
    return ok({
      handler: (identify, otherwise) => handlerOf({ ...options, issuing, identify, otherwise }),
      close: () => timer?.clear(),
    });
  } catch (cause) {
    return err(`mesh.authority: ${cause instanceof Error ? cause.message : 'cannot be opened'}`);
  }
}

function rulesOf({ mesh }: Config, journal: Revoked): IssuingRules | undefined {
  const { authority, revoked } = mesh ?? {};
  if (authority === undefined || revoked === undefined) return undefined;
  return {
    trustDomain: authority.trustDomain,
    apps: authority.apps,
    lifetimeMs: authority.certificateSeconds * 1_000,
    isSingleUse: authority.tokens === 'once',
    revoked: mergedRevoked(revokedOf(revoked), journal),
  };
}

interface Serving extends MeshAuthorityOptions {
  readonly issuing: Issuing;
  readonly identify: Identify;
  readonly otherwise: HttpHandler;
}

function handlerOf(serving: Serving): HttpHandler {
  const { issuing, otherwise } = serving;
  return async (request, reply) => {
    const { path: at, method } = request;
    if (at === bundlePath && (method === 'GET' || method === 'HEAD')) {
      return send(reply, 200, JSON.stringify(issuing.bundle()));
    }
    if (at !== enrolmentPath) return otherwise(request, reply);
    if (method !== 'POST') {
      const why = refusal('method_not_allowed', `${at} takes POST.`);
      return refuseAs(reply, why, request, { allow: 'POST' });
    }
    const answer = await enrolled(serving, request);
    if (answer.ok) send(reply, 200, answer.value);
    else refuseAs(reply, answer.error, request);
  };
}

async function enrolled(
  { issuing, identify, clock, record }: Serving,
  request: HttpRequest,
): Promise<Result<string, Refusal>> {
  const body = await request.readBody(bodyBytesMax);
  if (!body.ok) return body;
  const json = readJson(body.value);
  if (!json.ok) return refuse('invalid_json', 'The body is not JSON.');
  const read = readEnrolment(json.value);
  if (!read.ok) return refuse('invalid_request', `The request is malformed: ${read.error}.`);
  let who = read.value.kind === 'renew' ? `mesh:${read.value.instance}` : 'anonymous';
  const answer = await issuing.answer(read.value, async () => {
    const holder = await holderOf(identify, request);
    if (holder.ok) who = holder.value.principal;
    return holder;
  });
  record({
    atMs: clock.nowMs(),
    operation: `mesh.certificate.${read.value.kind}`,
    actor: { principal: who, channel: 'control' },
    requestId: request.id,
    ...(answer.ok
      ? { outcome: 'allowed' }
      : { outcome: outcomeOf(answer.error.code), code: answer.error.code }),
  });
  return answer.ok ? ok(JSON.stringify(answerDocument(answer.value))) : answer;
}

async function holderOf(
  identify: Identify,
  request: HttpRequest,
): Promise<Result<TokenHolder & { readonly principal: string }, Refusal>> {
  const caller = await identify(request);
  if (!caller.ok) return caller;
  const { subject, scope } = caller.value;
  if (subject.authority !== 'key') {
    return refuse('access_denied', 'Only a join token joins the mesh.');
  }
  const types = scope?.admin === true ? 'admin' : (scope?.join ?? []);
  return ok({ token: subject.id, types, principal: principalKey(subject) });
}

function send(reply: HttpReply, status: number, body: string): void {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  reply.send(status, headers, `${body}\n`);
}

function refuseAs(
  reply: HttpReply,
  why: Refusal,
  { id }: HttpRequest,
  more: Readonly<Record<string, string>> = {},
): void {
  const { status, headers, body } = envelopeOf(why, id);
  reply.send(status, { ...headers, ...more }, body);
}
