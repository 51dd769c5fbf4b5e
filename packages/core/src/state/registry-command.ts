import type { Instance, InstanceClaim } from '@postern/core/registry';

/** When the keys that the members of a type share are replaced. */
export type Rotation = 'never' | 'leave' | 'change';

export type RegistryCommand =
  | {
      /** Also the update: an owner says everything again. */
      readonly kind: 'instance.register';
      readonly claim: InstanceClaim;
      /** `principalKey` of whoever registers it. */
      readonly owner: string;
      readonly rotation: Rotation;
    }
  | {
      readonly kind: 'instance.leave';
      readonly uuid: string;
      /** Who wants it gone; absent: an operator, who may remove any. */
      readonly owner?: string;
      readonly rotation: Rotation;
    }
  /** Their leases are over. What is not there any more, or changed since, is passed over. */
  | {
      readonly kind: 'instances.expire';
      readonly leases: readonly { readonly uuid: string; readonly updatedAtMs: number }[];
      readonly rotation: Rotation;
    }
  | {
      /** An operator replaces the shared key of a type; empty: that of all types. */
      readonly kind: 'group.rotate';
      readonly nodeType: string;
    };

/** What changed in the registry. An instance stands whole in its event. Heartbeats are no events. */
export type RegistryStateEvent =
  | { readonly kind: 'instance.saved'; readonly instance: Instance }
  | {
      readonly kind: 'instances.removed';
      readonly uuids: readonly string[];
      readonly cause: 'left' | 'expired';
    }
  | {
      readonly kind: 'group.rotated';
      readonly nodeType: string;
      readonly epoch: number;
      readonly atMs: number;
    };
