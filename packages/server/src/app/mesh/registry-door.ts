import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { MeshConfig } from '@postern/core/contract';
import { refuse } from '@postern/core/errors';
import type { Identify } from '../../gateway/index.ts';
import type { HttpHandler, Listener } from '../../http/index.ts';
import { openListener } from '../../http/index.ts';

export interface RegistryDoorOptions {
  readonly stateDir: string;
  readonly handler: (identify: Identify) => HttpHandler;
  /** The app that an assertion of our own mesh names for a port. */
  readonly appOf: (assertion: string, port: number) => string | undefined;
  readonly config: MeshConfig;
  readonly newRequestId: () => string;
  readonly nowMs: () => number;
  readonly onFault: (cause: unknown, requestId: string) => void;
}

const assertionField = 'x-postern-identity';
const ownerOnly = 0o600;

export function registrySocket(stateDir: string): string {
  return path.join(stateDir, 'run', 'registry.sock');
}

/**
 * The registry for apps: a socket that only the mesh of this process calls. Who is asking is in an assertion that the mesh
 * signed for this service; an app id in a plain field says nothing here either.
 */
export async function openRegistryDoor(
  options: RegistryDoorOptions,
): Promise<Result<Listener | undefined, string>> {
  const ports = options.config.inbound
    .filter(({ backend }) => backend === 'registry')
    .map(({ port }) => port);
  if (ports.length === 0) return ok(undefined);
  const opened = await openListener({
    kind: 'control',
    bind: { kind: 'unix', path: registrySocket(options.stateDir), mode: ownerOnly },
    handler: options.handler(identifyBy(ports, options.appOf)),
    hosts: undefined,
    trustedProxies: [],
    onlyTrustedProxies: false,
    believedHeaders: [assertionField],
    newRequestId: options.newRequestId,
    nowMs: options.nowMs,
    onFault: options.onFault,
  });
  return opened.ok ? opened : err(opened.error.message);
}

function identifyBy(ports: readonly number[], appOf: RegistryDoorOptions['appOf']): Identify {
  return async ({ headers }) => {
    const assertion = headers.get(assertionField) ?? '';
    for (const port of ports) {
      const app = appOf(assertion, port);
      if (app === undefined) continue;
      return ok({
        subject: { authority: 'app', id: app, kind: 'app', display: app, selectors: [] },
      });
    }
    return refuse('credential_missing', 'Only apps that the mesh verified are answered here.');
  };
}
