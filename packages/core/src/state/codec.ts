import { canonicalJson } from './canonical.ts';
import { containmentEvents, containmentShape } from './containment-codec.ts';
import { containmentParts, emptyContainment } from './containment-state.ts';
import type { CommandKind, StateEvent } from './command.ts';
import type { Guard } from './decode.ts';
import { count, flag, list, literal, object, objectWith, text, variant } from './decode.ts';
import type {
  Actor,
  ConfigGeneration,
  KeyRecord,
  PlanApproval,
  PolicyPlan,
  PolicyState,
  PolicyVersion,
  Revocation,
  RevocationTarget,
  State,
} from './model.ts';
import { networkEvents, networkShape } from './network-codec.ts';
import { emptyNetwork, networkParts } from './network-state.ts';
import { stateOf } from './reduce.ts';
import { registryEvents, registryShape } from './registry-codec.ts';
import { emptyRegistry, registryParts } from './registry-state.ts';

const scope = objectWith(
  {},
  {
    models: list(text),
    dialects: list(text),
    admin: flag,
    join: list(text),
    network: list(text),
  },
);

const key: Guard<KeyRecord> = objectWith(
  {
    id: text,
    name: text,
    digest: text,
    hint: text,
    scope,
    boundTo: list(text),
    createdBy: text,
    createdAtMs: count,
  },
  { expiresAtMs: count, revokedAtMs: count, revokedReason: text, description: text },
);

const target: Guard<RevocationTarget> = variant<RevocationTarget>('by', {
  token: objectWith({ by: literal('token'), issuer: text, tokenId: text }, { expiresAtMs: count }),
  subject: objectWith(
    { by: literal('subject'), issuer: text, subject: text },
    { issuedBeforeMs: count },
  ),
  issuer: object({ by: literal('issuer'), issuer: text, issuedBeforeMs: count }),
  peer: object({
    by: literal('peer'),
    kind: literal('app', 'instance', 'device', 'serial'),
    id: text,
  }),
});

const revocation: Guard<Revocation> = objectWith(
  { id: text, target, atMs: count, createdBy: text },
  { reason: text },
);

const generation: Guard<ConfigGeneration> = objectWith(
  { number: count, digest: text, text, appliedBy: text, appliedAtMs: count },
  { note: text },
);

const channel = literal('control-socket', 'admin', 'control', 'mcp', 'system');
const risk = literal('low', 'medium', 'high');

const policyVersion: Guard<PolicyVersion> = objectWith(
  {
    number: count,
    digest: text,
    text,
    risk,
    appliedBy: text,
    appliedAtMs: count,
    previous: count,
  },
  { plan: text, note: text },
);

const approval: Guard<PlanApproval> = object({ by: text, channel, atMs: count });

const plan: Guard<PolicyPlan> = objectWith(
  {
    id: text,
    text,
    digest: text,
    base: text,
    risk,
    summary: list(text),
    createdBy: text,
    persons: list(text),
    createdAtMs: count,
    expiresAtMs: count,
  },
  { approval },
);

const policy: Guard<PolicyState> = objectWith(
  { versions: list(policyVersion), lastNumber: count, plans: list(plan) },
  { pending: object({ digest: text, deadlineMs: count }) },
);

const cause = literal('asked', 'unconfirmed');

const event: Guard<StateEvent> = variant<StateEvent>('kind', {
  ...networkEvents,
  ...registryEvents,
  ...containmentEvents,
  'key.created': object({ kind: literal('key.created'), key }),
  'key.revoked': objectWith(
    { kind: literal('key.revoked'), id: text, atMs: count },
    { reason: text },
  ),
  'keys.dropped': object({ kind: literal('keys.dropped'), ids: list(text) }),
  'revocation.created': object({ kind: literal('revocation.created'), revocation }),
  'revocation.lifted': object({ kind: literal('revocation.lifted'), id: text }),
  'revocations.dropped': object({ kind: literal('revocations.dropped'), ids: list(text) }),
  'config.applied': object({ kind: literal('config.applied'), generation }),
  'policy.applied': objectWith(
    { kind: literal('policy.applied'), version: policyVersion },
    { deadlineMs: count },
  ),
  'policy.confirmed': object({ kind: literal('policy.confirmed'), digest: text }),
  'policy.rolled_back': objectWith(
    { kind: literal('policy.rolled_back'), digest: text, cause },
    { reason: text },
  ),
  'plan.created': object({ kind: literal('plan.created'), plan }),
  'plan.approved': object({ kind: literal('plan.approved'), id: text, approval }),
  'plans.dropped': object({ kind: literal('plans.dropped'), ids: list(text) }),
  'state.restored': object({
    kind: literal('state.restored'),
    index: count,
    headHash: text,
    backupAtMs: count,
  }),
});

const actor: Guard<Actor> = objectWith({ principal: text, channel }, { via: text });

const command: Guard<CommandKind> = literal(
  'key.create',
  'key.revoke',
  'key.rotate',
  'revocation.create',
  'revocation.lift',
  'config.apply',
  'policy.apply',
  'policy.confirm',
  'policy.rollback',
  'plan.create',
  'plan.approve',
  'user.create',
  'user.role',
  'preauthkey.create',
  'preauthkey.revoke',
  'node.register',
  'node.adopt',
  'node.expire',
  'node.approve',
  'node.delete',
  'node.rename',
  'node.tag',
  'node.routes',
  'dns.set',
  'instance.register',
  'instance.leave',
  'instances.expire',
  'group.rotate',
  'block.create',
  'block.lift',
  'isolation.set',
  'isolation.lift',
  'incident.note',
  'state.restored',
);

/** The members of a journal record that its hash covers. `v` is the version of this shape. */
export interface RecordBody {
  readonly v: 1;
  readonly index: number;
  readonly atMs: number;
  readonly actor: Actor;
  readonly command: CommandKind;
  readonly events: readonly StateEvent[];
  readonly prevHash: string;
}

const recordBody: Guard<RecordBody> = object({
  v: literal(1),
  index: count,
  atMs: count,
  actor,
  command,
  events: list(event),
  prevHash: text,
});

/** The body that a text spells, or undefined where it is not one of this version. */
export function decodeRecordBody(bodyText: string): RecordBody | undefined {
  const body = parsed(bodyText);
  return recordBody(body) ? body : undefined;
}

const stateShape = objectWith(
  {
    v: literal(1),
    keys: list(key),
    revocations: list(revocation),
    generations: list(generation),
    policy,
  },
  { network: networkShape, registry: registryShape, containment: containmentShape },
);

/** One text for one state, whatever order its records came in. */
export function encodeState(state: State): string {
  return canonicalJson({
    v: 1,
    keys: [...state.keysById.values()].toSorted(byId),
    revocations: [...state.revocationsById.values()].toSorted(byId),
    generations: state.generations,
    policy: state.policy,
    // Left out where there is none, so that a state without an engine keeps its text.
    ...(state.network === emptyNetwork ? {} : { network: networkParts(state.network) }),
    ...(state.registry === emptyRegistry ? {} : { registry: registryParts(state.registry) }),
    ...(state.containment === emptyContainment
      ? {}
      : { containment: containmentParts(state.containment) }),
  });
}

/** The state that a text spells, or undefined where it is not one of this version. */
export function decodeState(stateText: string): State | undefined {
  const parts = parsed(stateText);
  return stateShape(parts) ? stateOf(parts) : undefined;
}

function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return a.id < b.id ? -1 : 1;
}

function parsed(jsonText: string): unknown {
  try {
    return JSON.parse(jsonText);
  } catch {
    return undefined;
  }
}
