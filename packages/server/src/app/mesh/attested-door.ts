import path from 'node:path';
import { attestedJoinPaths } from '@postern/core/attest/enrolment';
import type { JsonObject, Result } from '@postern/core/base';
import { err, fromBase64, isJsonObject, ok, readJson, toBase64 } from '@postern/core/base';
import type { Config, MeshConfig } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import { invitationDocument } from '../../adapters/attested-join/index.ts';
import { openJoinFolder } from '../../adapters/mesh-authority/index.ts';
import { envelopeOf } from '../../control/api/envelope.ts';
import type { Control, Requester } from '../../control/index.ts';
import { outcomeOf } from '../../control/index.ts';
import type { NetworkDesk } from '../../control/network/index.ts';
import { approveNode, createPreAuthKey } from '../../control/network/index.ts';
import type { Egress, HttpHandler, HttpReply, HttpRequest } from '../../http/index.ts';
import type { JoinNetwork, MeshTrust } from '../../mesh/index.ts';
import { AttestedJoining, mergedRevoked } from '../../mesh/index.ts';
import { createFactsFinder, peerTools } from './facts.ts';
import { journalRevoked } from './journal-revoked.ts';
import { loadTrust } from './trust.ts';

export interface AttestedDoorOptions {
  readonly config: () => Config;
  readonly control: Control;
  readonly stateDir: string;
  readonly egress: Egress;
  /** The embedded engine, once it runs. */
  readonly desk: () => NetworkDesk | undefined;
}

/** Evidence of dstack is 10 KB; event logs may be longer. In base64. */
const bodyBytesMax = 524_288;
const keyLifeMs = 10 * 60_000;
const nodeKeyPattern = /^nodekey:[0-9a-f]{64}$/;
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Keys of the network for evidence, on the control listener, before the routes of another handler. */
export async function openAttestedDoor(
  options: AttestedDoorOptions,
  otherwise: HttpHandler,
): Promise<Result<HttpHandler, string>> {
  const { config, control, stateDir, egress } = options;
  const mesh = config().mesh;
  if (mesh?.attestedJoin === undefined) return err('mesh.attestedJoin: not configured');
  if (mesh.trust.appraisalFile === undefined) {
    return err('mesh.attestedJoin needs mesh.trust.appraisalFile: what evidence must show');
  }
  const loaded = await loadTrust(mesh, 1);
  if (!loaded.ok) return err(`mesh.trust: ${loaded.error}`);
  const now = { mesh, trust: loaded.value, generation: 1 };
  const journal = journalRevoked(control);
  const trust = (): MeshTrust => ({
    ...now.trust,
    revoked: mergedRevoked(now.trust.revoked, journal()),
  });
  const { nowMs } = control.system;
  const joining = new AttestedJoining({
    judge: {
      trust,
      tools: peerTools(),
      findFacts: createFactsFinder({ stateDir, egress, nowMs, trust }),
      nowMs,
    },
    apps: () => now.mesh.attestedJoin?.apps ?? [],
    store: await openJoinFolder(path.join(stateDir, 'mesh-authority', 'joins')),
    network: () => networkOf(options),
  });
  return ok(async (request, reply) => {
    const route = Object.entries(attestedJoinPaths).find(([, each]) => each === request.path)?.[0];
    if (route === undefined) return otherwise(request, reply);
    if (request.method !== 'POST') {
      const why = refusal('method_not_allowed', `${request.path} takes POST.`);
      return refuseAs(reply, why, request, { allow: 'POST' });
    }
    const followed = await follow(now, config().mesh);
    const answer = followed.ok ? await answered(route, joining, request) : followed;
    if (route !== 'challenge') recordOf(control, route, request, answer);
    if (!answer.ok) return refuseAs(reply, answer.error, request);
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    reply.send(200, headers, `${JSON.stringify(answer.value)}\n`);
  });
}

/** Takes up a changed configuration; where its files cannot be read, nobody joins. */
async function follow(
  now: { mesh: MeshConfig; trust: MeshTrust; generation: number },
  mesh: MeshConfig | undefined,
): Promise<Result<undefined, Refusal>> {
  if (mesh === now.mesh) return ok(undefined);
  if (mesh?.attestedJoin === undefined) {
    return refuse('access_denied', 'Nobody joins by evidence any more (mesh.attestedJoin).');
  }
  const loaded = await loadTrust(mesh, now.generation + 1);
  if (!loaded.ok) return refuse('state_unavailable', 'What evidence must show cannot be read.');
  now.generation += 1;
  now.trust = loaded.value;
  now.mesh = mesh;
  return ok(undefined);
}

async function answered(
  route: string,
  joining: AttestedJoining,
  request: HttpRequest,
): Promise<Result<JsonObject, Refusal>> {
  if (route === 'challenge') {
    const { nonce, expiresAtMs } = joining.challenge();
    return ok({ nonce: toBase64(nonce), expires_at: new Date(expiresAtMs).toISOString() });
  }
  const body = await request.readBody(bodyBytesMax);
  if (!body.ok) return body;
  const json = readJson(body.value);
  if (!json.ok || !isJsonObject(json.value))
    return refuse('invalid_json', 'The body is no object.');
  const { nonce: nonceText, evidence: evidenceText, name, node_key: nodeKey } = json.value;
  const nonce = typeof nonceText === 'string' ? fromBase64(nonceText) : undefined;
  const evidence = typeof evidenceText === 'string' ? fromBase64(evidenceText) : undefined;
  if (nonce === undefined || evidence === undefined) {
    return refuse('invalid_request', 'nonce and evidence are base64.', { param: 'evidence' });
  }
  if (route === 'bind') {
    if (typeof nodeKey !== 'string' || !nodeKeyPattern.test(nodeKey)) {
      return refuse('invalid_request', 'node_key is nodekey: and 64 digits.', {
        param: 'node_key',
      });
    }
    const bound = await joining.bind({ nonce, nodeKey, evidence });
    return bound.ok ? ok({ node: bound.value.node, app_id: bound.value.app }) : bound;
  }
  if (typeof name !== 'string' || !namePattern.test(name)) {
    return refuse('invalid_request', 'name is letters, digits and dashes.', { param: 'name' });
  }
  const joined = await joining.join({ nonce, name, evidence });
  if (!joined.ok) return joined;
  return ok(invitationDocument(joined.value));
}

/** Node keys are known to the embedded engine alone, so that only its nodes can be bound. */
function networkOf({ control, config, desk }: AttestedDoorOptions): JoinNetwork | undefined {
  const running = desk();
  const tags = config().mesh?.attestedJoin?.tags ?? [];
  if (running === undefined) return undefined;
  return {
    createKey: async (app, name) => {
      const request = {
        reusable: false,
        ephemeral: false,
        preApproved: false,
        awaitsBinding: true,
        tags,
        lifeMs: keyLifeMs,
        description: `attested ${name}`.slice(0, 50),
      };
      const made = await createPreAuthKey(control, request, byApp(app));
      if (!made.ok) return made;
      const { key, secret } = made.value;
      return ok({ id: key.id, key: secret, url: running.url, expiresAtMs: key.expiresAtMs });
    },
    node: (nodeKey) => {
      const node = control.snapshot().network.nodesByKey.get(nodeKey);
      return node === undefined ? undefined : { id: node.id, admittedBy: node.admittedBy };
    },
    approve: async (id, app) => {
      const done = await approveNode(control, running, { id, as: undefined }, byApp(app));
      return done.ok ? ok(undefined) : done;
    },
  };
}

function byApp(app: string): Requester {
  return { actor: { principal: `app:${app}`, channel: 'control' } };
}

function recordOf(
  control: Control,
  route: string,
  { id }: HttpRequest,
  answer: Result<JsonObject, Refusal>,
): void {
  const app = answer.ok ? answer.value['app_id'] : undefined;
  control.record({
    atMs: control.system.nowMs(),
    operation: `network.attested.${route}`,
    actor: { principal: typeof app === 'string' ? `app:${app}` : 'anonymous', channel: 'control' },
    requestId: id,
    ...(answer.ok
      ? { outcome: 'allowed' }
      : { outcome: outcomeOf(answer.error.code), code: answer.error.code }),
  });
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
