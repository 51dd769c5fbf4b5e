import type { Block, BlockTarget, IncidentNote, Isolation } from './containment-state.ts';

/** What an operator does in an incident, apart from revoking. */
export type ContainmentCommand =
  | {
      readonly kind: 'block.create';
      readonly target: BlockTarget;
      /** When it ends by itself; absent: when somebody lifts it. */
      readonly expiresAtMs?: number;
      readonly reason?: string;
    }
  | { readonly kind: 'block.lift'; readonly id: string }
  | {
      readonly kind: 'isolation.set';
      readonly scope: string;
      readonly reason?: string;
    }
  | { readonly kind: 'isolation.lift' }
  | { readonly kind: 'incident.note'; readonly note: IncidentNote };

export type ContainmentEvent =
  | { readonly kind: 'block.created'; readonly block: Block }
  | { readonly kind: 'blocks.dropped'; readonly ids: readonly string[] }
  | { readonly kind: 'isolation.began'; readonly isolation: Isolation }
  | { readonly kind: 'isolation.ended' }
  | { readonly kind: 'incident.noted'; readonly note: IncidentNote };
