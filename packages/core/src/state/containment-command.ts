import type { BlockTarget, IncidentNote } from './containment-state.ts';

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
