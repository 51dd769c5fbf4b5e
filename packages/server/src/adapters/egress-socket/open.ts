import { lookup } from 'node:dns/promises';
import { Dialer, type Resolve, setOf } from './dialer/index.ts';
import { createSocketEgress, type SocketEgressHandle } from './egress.ts';
import type { SocketEgressLimits } from './limits.ts';

export interface EgressOptions {
  /** Prefixes to treat as internal beside the well-known ones: a mesh range in public address space. */
  readonly internalPrefixes?: readonly string[];
  /** Name resolution; the operating system's by default. */
  readonly resolve?: Resolve;
  readonly limits?: Partial<SocketEgressLimits>;
}

/** Builds the one way out, with the one dialer that judges where it may lead. */
export function createEgress(options: EgressOptions = {}): SocketEgressHandle {
  const { internalPrefixes = [], resolve = systemResolve, limits } = options;
  const context = { resolve, extraInternal: setOf(internalPrefixes) };
  return createSocketEgress({
    dialer: (place) => new Dialer(place, context),
    ...(limits === undefined ? {} : { limits }),
  });
}

async function systemResolve(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true, order: 'verbatim' });
  return found.map((one) => one.address);
}
