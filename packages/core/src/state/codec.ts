import { canonicalJson } from './canonical.ts';
import type { CommandKind, StateEvent } from './command.ts';
import type { Decoder } from './decode.ts';
import { count, flag, list, literal, object, objectWith, text, variant } from './decode.ts';
import type {
  Actor,
  ConfigGeneration,
  KeyRecord,
  Revocation,
  RevocationTarget,
  State,
} from './model.ts';
import { emptyState, reduce } from './reduce.ts';

const scope = objectWith({}, { models: list(text), dialects: list(text), admin: flag });

const key: Decoder<KeyRecord> = objectWith(
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
  { expiresAtMs: count, revokedAtMs: count, revokedReason: text },
);

const target: Decoder<RevocationTarget> = variant<RevocationTarget>('by', {
  token: objectWith({ by: literal('token'), issuer: text, tokenId: text }, { expiresAtMs: count }),
  subject: objectWith(
    { by: literal('subject'), issuer: text, subject: text },
    { issuedBeforeMs: count },
  ),
  issuer: object({ by: literal('issuer'), issuer: text, issuedBeforeMs: count }),
});

const revocation: Decoder<Revocation> = objectWith(
  { id: text, target, atMs: count, createdBy: text },
  { reason: text },
);

const generation: Decoder<ConfigGeneration> = objectWith(
  { number: count, digest: text, text, appliedBy: text, appliedAtMs: count },
  { note: text },
);

const event: Decoder<StateEvent> = variant<StateEvent>('kind', {
  'key.created': object({ kind: literal('key.created'), key }),
  'key.revoked': objectWith(
    { kind: literal('key.revoked'), id: text, atMs: count },
    { reason: text },
  ),
  'keys.dropped': object({ kind: literal('keys.dropped'), ids: list(text) }),
  'token.revoked': object({ kind: literal('token.revoked'), revocation }),
  'token.unrevoked': object({ kind: literal('token.unrevoked'), id: text }),
  'revocations.dropped': object({ kind: literal('revocations.dropped'), ids: list(text) }),
  'config.applied': object({ kind: literal('config.applied'), generation }),
  'state.restored': object({
    kind: literal('state.restored'),
    index: count,
    headHash: text,
    backupAtMs: count,
  }),
});

const actor: Decoder<Actor> = objectWith(
  { principal: text, channel: literal('control-socket', 'admin', 'system') },
  { via: text },
);

const command: Decoder<CommandKind> = literal(
  'key.create',
  'key.revoke',
  'token.revoke',
  'token.unrevoke',
  'config.apply',
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

const recordBody: Decoder<Omit<RecordBody, 'v'> & { readonly v: number }> = object({
  v: count,
  index: count,
  atMs: count,
  actor,
  command,
  events: list(event),
  prevHash: text,
});

/** The body that a text spells, or undefined where it is not one of this version. */
export function decodeRecordBody(bodyText: string): RecordBody | undefined {
  const body = recordBody(parsed(bodyText));
  return body === undefined || body.v !== 1 ? undefined : { ...body, v: 1 };
}

const stateShape = object({
  v: count,
  keys: list(key),
  revocations: list(revocation),
  generations: list(generation),
});

/** One text for one state, whatever order its records came in. */
export function encodeState(state: State): string {
  return canonicalJson({
    v: 1,
    keys: [...state.keysById.values()].toSorted(byId),
    revocations: [...state.revocationsById.values()].toSorted(byId),
    generations: state.generations,
  });
}

/** The state that a text spells, or undefined where it is not one of this version. */
export function decodeState(stateText: string): State | undefined {
  const decoded = stateShape(parsed(stateText));
  if (decoded === undefined || decoded.v !== 1) return undefined;
  let state = emptyState();
  for (const each of decoded.keys) state = reduce(state, { kind: 'key.created', key: each });
  for (const each of decoded.revocations) {
    state = reduce(state, { kind: 'token.revoked', revocation: each });
  }
  for (const each of decoded.generations.toReversed()) {
    state = reduce(state, { kind: 'config.applied', generation: each });
  }
  return state;
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
