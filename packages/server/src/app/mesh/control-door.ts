import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { Identify } from '../../gateway/index.ts';
import type { HttpHandler } from '../../http/index.ts';
import { createClock } from '../host-facts.ts';
import type { Network } from '../network/start.ts';
import type { Foundation } from '../foundation.ts';
import type { RegistryPlane } from '../registry/plane.ts';

interface Live {
  readonly deployment: { readonly config: Config };
  readonly registry: Pick<RegistryPlane, 'handler'>;
  readonly network?: Pick<Network, 'desk'>;
}

type Door = Result<{ readonly registry: HttpHandler }, string>;

/**
 * What the control listener answers: joining by evidence, certificates of the mesh, then the registry; nothing where none of
 * them is configured.
 */
export async function controlDoor(
  foundation: Pick<Foundation, 'control' | 'options' | 'egress'>,
  live: Live,
  identify: Identify,
): Promise<Door> {
  const { registry } = live;
  const { mesh } = live.deployment.config;
  const known = registry.handler(identify);
  const issuing =
    mesh?.authority === undefined
      ? ok(known)
      : await issuingDoor(foundation, live, { identify, otherwise: known });
  if (!issuing.ok) return issuing;
  if (mesh?.attestedJoin === undefined) {
    return ok({ registry: issuing.value });
  }
  const { openAttestedDoor } = await import('./attested-door.ts');
  const { control, options, egress } = foundation;
  const joining = await openAttestedDoor(
    {
      config: () => live.deployment.config,
      control,
      stateDir: options.settings.stateDir,
      egress: egress.egress,
      desk: () => live.network?.desk,
    },
    issuing.value,
  );
  return joining.ok ? ok({ registry: joining.value }) : joining;
}

/** Certificates, and what issues them, are loaded only where an authority is configured. */
async function issuingDoor(
  { control, options }: Pick<Foundation, 'control' | 'options'>,
  live: Live,
  { identify, otherwise }: { readonly identify: Identify; readonly otherwise: HttpHandler },
): Promise<Result<HttpHandler, string>> {
  const { openMeshAuthority } = await import('./authority.ts');
  const { settings, logger } = options;
  const opened = await openMeshAuthority({
    config: () => live.deployment.config,
    control,
    stateDir: settings.stateDir,
    clock: createClock(control.system.nowMs),
    record: (line) => control.record(line),
    logger,
  });
  return opened.ok ? ok(opened.value.handler(identify, otherwise)) : opened;
}
