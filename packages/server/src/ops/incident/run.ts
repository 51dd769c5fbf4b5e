import type { Requester } from '../../control/index.ts';
import type { Evidence } from './evidence.ts';
import { verdictOf } from './evidence.ts';
import type { IncidentPorts } from './ports.ts';
import type { Progress } from './scribe.ts';
import { Scribe } from './scribe.ts';
import type { IncidentRequest, StepName, StepRun } from './step.ts';
import { revokeJwts, rotate } from './steps-credentials.ts';
import { blockIp, isolate } from './steps-exposure.ts';
import { auditAccess, resetModel, verifyRecords } from './steps-records.ts';

const steps: Readonly<Record<StepName, (run: StepRun) => Promise<void>>> = {
  rotate,
  isolate,
  'audit-access': auditAccess,
  'reset-model': resetModel,
  'revoke-jwts': revokeJwts,
  'block-ip': blockIp,
  'verify-records': verifyRecords,
};

export interface IncidentRun {
  readonly id: string;
  readonly request: IncidentRequest;
  readonly by: Requester;
  readonly ports: IncidentPorts;
  /** Of a run that was broken off; absent: it begins. */
  readonly progress?: Progress;
  readonly save: (progress: Progress) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Carries a step out and gives what it did and what shows it. Never throws for what the world does. */
export async function runIncident(run: IncidentRun): Promise<Evidence> {
  const { id, request, by, ports, save, signal } = run;
  const { nowMs } = ports.control.system;
  const progress = run.progress ?? { acts: [], seen: {}, beganAtMs: nowMs() };
  const scribe = new Scribe({ isDryRun: request.isDryRun, progress, save });
  await steps[request.step]({ id, request, ports, scribe, by, signal });
  return {
    v: 1,
    id,
    step: request.step,
    is_drill: request.isDrill,
    is_dry_run: request.isDryRun,
    reason: request.reason,
    actor: by.actor.principal,
    began_at: new Date(progress.beganAtMs).toISOString(),
    ended_at: new Date(nowMs()).toISOString(),
    parameters: parametersOf(request),
    acts: scribe.acts,
    proofs: scribe.proofs,
    verdict: verdictOf(request.isDryRun, scribe.acts, scribe.proofs),
    follow_up: scribe.followUp,
    report: scribe.report,
  };
}

/** What was asked for, as texts; the token that shows a revocation is nobody's to read. */
function parametersOf(request: IncidentRequest): Readonly<Record<string, string>> {
  const { target, classes, issuer, address, forMs, sinceMs, replicas, token } = request;
  return Object.fromEntries(
    Object.entries({
      target,
      classes: classes?.join(', '),
      issuer,
      address,
      for_ms: forMs?.toString(),
      since: sinceMs === undefined ? undefined : new Date(sinceMs).toISOString(),
      replicas: replicas?.join(', '),
      token: token === undefined ? undefined : 'given',
    }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
