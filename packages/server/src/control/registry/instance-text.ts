import type { Instance } from '@postern/core/registry';
import type { Registry } from './registry.ts';

/** JSON that is written already, where a value is expected. */
export class WrittenJson {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/**
 * `instanceView` as JSON. A page has a hundred of them and changes with every heartbeat of its type: nothing is made
 * for it but the text, and nothing of that is kept, since ten thousand such texts cost the collector more than
 * writing them again.
 */
export function instanceText(instance: Instance, registry: Registry): string {
  const { uuid, nodeType, hostname, addresses, port, metadata, owner, leaseMs } = instance;
  const { state, why } = registry.health(instance);
  const at = port === undefined ? '' : `"port":${port},`;
  const said = why === undefined ? '' : `,"why":${JSON.stringify(why)}`;
  const ends = timeText(registry.leaseEndsAtMs(instance));
  // Ids, types and names have no character that JSON escapes (core/registry/instance.ts); what else is text may.
  return (
    `{"uuid":"${uuid}","node_type":"${nodeType}","hostname":"${hostname}",` +
    `"addresses":${JSON.stringify(addresses)},${at}"metadata":${JSON.stringify(metadata)},` +
    `"owner":${JSON.stringify(owner)},"health":{"state":"${state}"${said}},` +
    `"lease_seconds":${leaseMs / 1_000},"lease_ends_at":"${ends}",` +
    `"registered_at":"${timeText(instance.registeredAtMs)}",` +
    `"updated_at":"${timeText(instance.updatedAtMs)}"}`
  );
}

let lastMs = 0;
let lastText = new Date(lastMs).toISOString();

/** RFC 3339. Who registered together did so at one time. */
function timeText(ms: number): string {
  if (ms === lastMs) return lastText;
  lastMs = ms;
  lastText = new Date(ms).toISOString();
  return lastText;
}
