import type { ContainmentEvent } from './containment-state.ts';
import type {
  Block,
  BlockTarget,
  ContainmentParts,
  IncidentNote,
  Isolation,
} from './containment-state.ts';
import type { Guard } from './decode.ts';
import { count, flag, list, literal, object, objectWith, text, variant } from './decode.ts';

const target: Guard<BlockTarget> = variant<BlockTarget>('by', {
  address: object({ by: literal('address'), prefix: text }),
  principal: object({ by: literal('principal'), principal: text }),
});

const block: Guard<Block> = objectWith(
  { id: text, target, atMs: count, createdBy: text },
  { expiresAtMs: count, reason: text },
);

const isolation: Guard<Isolation> = objectWith(
  { scope: text, atMs: count, createdBy: text },
  { reason: text },
);

const note: Guard<IncidentNote> = object({
  id: text,
  step: text,
  verdict: literal('proven', 'unproven'),
  digest: text,
  atMs: count,
  isDrill: flag,
});

/** One shape for each event of containment, for the table of all events. */
export const containmentEvents: Readonly<
  Record<ContainmentEvent['kind'], Guard<ContainmentEvent>>
> = {
  'block.created': object({ kind: literal('block.created'), block }),
  'blocks.dropped': object({ kind: literal('blocks.dropped'), ids: list(text) }),
  'isolation.began': object({ kind: literal('isolation.began'), isolation }),
  'isolation.ended': object({ kind: literal('isolation.ended') }),
  'incident.noted': object({ kind: literal('incident.noted'), note }),
};

export const containmentShape: Guard<ContainmentParts> = objectWith(
  { blocks: list(block), notes: list(note) },
  { isolation },
);
