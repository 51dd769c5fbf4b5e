import type { Instance } from '@postern/core/registry';
import type { HealthState } from './health.ts';
import type { Registry } from './registry.ts';

/** An instance as the API shows it: names in snake_case, times in RFC 3339. */
export interface InstanceView {
  uuid: string;
  node_type: string;
  hostname: string;
  addresses: string[];
  port?: number;
  metadata: Record<string, string>;
  owner: string;
  health: { state: HealthState; why?: string };
  lease_seconds: number;
  lease_ends_at: string;
  registered_at: string;
  updated_at: string;
}

export function instanceView(instance: Instance, registry: Registry): InstanceView {
  const { uuid, nodeType, hostname, addresses, port, metadata, owner, leaseMs } = instance;
  return {
    uuid,
    node_type: nodeType,
    hostname,
    addresses: [...addresses],
    ...(port === undefined ? {} : { port }),
    metadata: { ...metadata },
    owner,
    health: { ...registry.health(instance) },
    lease_seconds: leaseMs / 1_000,
    lease_ends_at: new Date(registry.leaseEndsAtMs(instance)).toISOString(),
    registered_at: new Date(instance.registeredAtMs).toISOString(),
    updated_at: new Date(instance.updatedAtMs).toISOString(),
  };
}
