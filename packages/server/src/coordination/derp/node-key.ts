import { fromHex, toHex } from '@postern/core/base';
import { keyBytes } from './frame.ts';

/** A node's public key as Tailscale writes it: `nodekey:` and 64 lower-case hex digits. */

const prefix = 'nodekey:';

export function formatNodeKey(raw: Uint8Array): string {
  return prefix + toHex(raw);
}

export function parseNodeKey(text: string): Uint8Array | undefined {
  if (!text.startsWith(prefix)) return undefined;
  const raw = fromHex(text.slice(prefix.length));
  return raw?.length === keyBytes ? raw : undefined;
}
