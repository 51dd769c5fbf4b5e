import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import { IncidentFiles } from '../../adapters/incident-files/index.ts';
import type { AuditTools, IncidentDesk } from '../../control/api/index.ts';
import type { Control, Requester } from '../../control/index.ts';
import type { Egress, Listener } from '../../http/index.ts';
import type { Evidence, IncidentPorts } from '../../ops/index.ts';
import { evidenceText, runIncident, verdictOf } from '../../ops/index.ts';
import type { AuditTrail } from '../audit.ts';
import { gatewayNames, recordsOf } from '../check/desk.ts';
import { placesOf } from '../check/instance.ts';
import { placesOfRegistry } from '../check/registry-places.ts';
import { createSight } from '../check/sight.ts';
import type { Doorkeeper } from '../containment/doorkeeper.ts';
import type { Deployment } from '../deployment.ts';
import type { PolicyPlane } from '../policy.ts';
import type { Settings } from '../settings.ts';
import { doorsOf } from './doors.ts';
import { upstreamOf } from './upstreams.ts';

export interface IncidentSources {
  readonly control: Control;
  readonly settings: Settings;
  readonly deployment: () => Deployment;
  readonly listeners: () => readonly Listener[];
  readonly doorkeeper: Pick<Doorkeeper, 'turnsAway' | 'openFrom'>;
  readonly policy: Pick<PolicyPlane, 'tools'>;
  readonly audit: AuditTools;
  readonly trail: Pick<AuditTrail, 'folder'>;
  readonly egress: Egress;
}

/** One page of the log while it is audited. */
const pageRecords = 1_000;
/** A model server of many gigabytes takes minutes to start. */
const stepMsMax = 15 * 60_000;

/** Incidents of this process: one at a time, each with its evidence. */
export function incidentDesk(sources: IncidentSources): IncidentDesk {
  const { control, settings, trail } = sources;
  const files = new IncidentFiles(settings.stateDir);
  const ports = incidentPorts(sources, files);
  let running: string | undefined;

  async function conclude(
    evidence: Evidence,
    by: Requester,
  ): Promise<Result<{ evidence: Evidence; file: string | null; note: string }, Refusal>> {
    const text = evidenceText(evidence);
    const note = trail.folder.sign(text);
    if (evidence.is_dry_run) return ok({ evidence, file: null, note });
    const file = await files.keepEvidence(evidence.id, note);
    const done = await control.execute(
      {
        kind: 'incident.note',
        note: {
          id: evidence.id,
          step: evidence.step,
          verdict: evidence.verdict === 'proven' ? 'proven' : 'unproven',
          digest: control.system.sha256Hex(text),
          atMs: control.system.nowMs(),
          isDrill: evidence.is_drill,
        },
      },
      by,
    );
    return done.ok ? ok({ evidence, file, note }) : done;
  }

  return {
    run: async (request, by) => {
      if (running !== undefined)
        return refuse('conflict', `The incident ${running} is being worked on; wait for its end.`);
      const id = request.resume ?? `inc_${control.system.newId()}`;
      const progress =
        request.resume === undefined ? undefined : await files.readProgress(id, request.step);
      if (request.resume !== undefined && progress === undefined)
        return refuse('not_found', `There is no ${request.step} ${id} that was broken off.`);
      running = id;
      try {
        const evidence = await runIncident({
          id,
          request,
          by,
          ports,
          ...(progress === undefined ? {} : { progress }),
          save: (now) => files.saveProgress(id, request.step, now),
          signal: AbortSignal.timeout(stepMsMax),
        });
        return await conclude(evidence, by);
      } finally {
        running = undefined;
      }
    },
    record: (given, by) => {
      const { acts, proofs, is_dry_run: isDryRun } = given;
      const id = `inc_${control.system.newId()}`;
      const actor = by.actor.principal;
      return conclude({ ...given, id, actor, verdict: verdictOf(isDryRun, acts, proofs) }, by);
    },
    list: () => files.list(),
    show: async (id) => {
      const note = await files.readEvidence(id);
      if (note !== undefined) return ok({ id, note, file: files.fileOf(id) });
      return err(refusal('not_found', `There is no evidence ${id}.`));
    },
  };
}

function incidentPorts(sources: IncidentSources, files: IncidentFiles): IncidentPorts {
  const { control, settings, egress, policy, audit, deployment } = sources;
  const sight = createSight(settings.env);
  const surroundings = { env: settings.env, nowMs: control.system.nowMs, egress };
  return {
    control,
    policy: policy.tools,
    doors: doorsOf({ ...sources, sight, env: settings.env }),
    gatewayNames: () => gatewayNames(sources),
    places: () => {
      const { config } = deployment();
      return placesOf(config, sight, placesOfRegistry(config, control.snapshot()));
    },
    upstream: (provider) => upstreamOf(deployment().config, provider, surroundings),
    rotatable: () =>
      Object.entries(deployment().config.providers).flatMap(([id, each]) =>
        'operate' in each && each.operate?.rotate !== undefined ? [id] : [],
      ),
    issuers: () => deployment().config.identities.issuers.map(({ issuer }) => issuer),
    records: async (after) => {
      const page = await audit.query({ after, limit: pageRecords });
      return page.ok ? page : err(page.error.message);
    },
    verify: () => recordsOf(sources),
    hand: (incident, secrets) => files.hand(incident, secrets),
    sleep: (ms) =>
      new Promise((resolve) => {
        setTimeout(resolve, ms);
      }),
  };
}
