import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { currentPolicy } from '@postern/core/state';
import type { MeshDesk } from '../../control/api/index.ts';
import type { Control } from '../../control/index.ts';
import { revisionOf } from '../../control/policy/index.ts';
import type { Egress } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { Settings } from '../settings.ts';

/** The mesh beside the other planes of one process. */
export interface ProcessMesh {
  readonly desk: MeshDesk;
  /** Takes over trust and revocations of a changed configuration. */
  reload(config: Config): void;
  close(graceMs: number): Promise<void>;
}

export interface ProcessMeshOptions {
  readonly config: () => Config;
  readonly control: Control;
  readonly settings: Settings;
  readonly egress: Egress;
  readonly logger: Logger;
}

/** Opens the mesh where the configuration has one; without it nothing of it is loaded. */
export async function startProcessMesh(
  options: ProcessMeshOptions,
): Promise<Result<ProcessMesh | undefined, string>> {
  const { control, settings, egress, logger } = options;
  const config = options.config().mesh;
  if (config === undefined) return ok(undefined);
  const [{ startMesh }, { deskOfMesh }] = await Promise.all([
    import('./start.ts'),
    import('./desk.ts'),
  ]);
  const started = await startMesh({
    config,
    mappings: () => options.config().identities.map,
    policy: () => {
      const version = currentPolicy(control.snapshot().policy);
      if (version === undefined) return undefined;
      return { text: version.text, revision: revisionOf(version.digest) };
    },
    env: settings.env,
    stateDir: settings.stateDir,
    egress,
    nowMs: control.system.nowMs,
    logger,
  });
  if (!started.ok) return started;
  const mesh = started.value;
  return ok({
    desk: deskOfMesh(mesh.plane),
    reload: (next) => {
      if (next.mesh === undefined) return;
      void mesh.reload(next.mesh).then((reloaded) => {
        if (!reloaded.ok) logger.error({ problem: reloaded.error }, 'the mesh keeps what it had');
      });
    },
    close: (graceMs) => mesh.plane.close(graceMs),
  });
}
