import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { refusal } from '@postern/core/errors';
import { envelopeOf } from '../../control/api/envelope.ts';
import type { Identify } from '../../gateway/index.ts';
import type { HttpHandler } from '../../http/index.ts';
import { createClock } from '../host-facts.ts';
import type { Foundation } from '../planes.ts';
import type { RegistryPlane } from '../registry/plane.ts';

interface Live {
  readonly deployment: { readonly config: Config };
  readonly registry?: RegistryPlane;
}

/** What the control listener answers: certificates of the mesh, then the registry; nothing where neither is configured. */
export async function controlDoor(
  { control, options }: Pick<Foundation, 'control' | 'options'>,
  live: Live,
  identify: Identify,
): Promise<Result<{ readonly registry?: HttpHandler }, string>> {
  const { registry } = live;
  const { settings, logger } = options;
  const config = (): Config => live.deployment.config;
  const known = registry?.handler(identify);
  if (config().mesh?.authority === undefined) {
    return ok(known === undefined ? {} : { registry: known });
  }
  // Certificates, and what issues them, are loaded only where an authority is configured.
  const { openMeshAuthority } = await import('./authority.ts');
  const opened = await openMeshAuthority({
    config,
    stateDir: settings.stateDir,
    clock: createClock(control.system.nowMs),
    record: (line) => control.record(line),
    logger,
  });
  if (!opened.ok) return opened;
  return ok({ registry: opened.value.handler(identify, known ?? nothingElse) });
}

const nothingElse: HttpHandler = async ({ path, id }, reply) => {
  const { status, headers, body } = envelopeOf(
    refusal('not_found', `There is no ${path} here.`),
    id,
  );
  reply.send(status, headers, body);
};
