import type { Caller, Principal } from '@postern/core/identity';
import type { PolicyFile } from '@postern/core/policy';
import {
  capabilityFindings,
  entriesOfFile,
  GatewayAccess,
  parsePolicyText,
} from '@postern/core/policy';
import type { ChangeActor, ChangeFinding, ChangePlan } from '@postern/core/policy/change';
import { describeChange, planChange, policyHash } from '@postern/core/policy/change';
import type { PlanFindingView, PlanReport } from '@postern/core/policy/report';
import {
  planReport,
  standInInventory,
  undefinedNames,
  undefinedNameText,
} from '@postern/core/policy/report';
import type { Sha256Hex } from '@postern/core/state';
import type { Requester } from '../control.ts';
import type { PolicyPorts } from './ports.ts';

/** What a change of the policy would mean, and what it asks for. */
export type Assessment = PlanReport & { readonly digest: string };

/** What a policy is compared with where none is in force: nothing is granted by it. */
export const emptyPolicyText = '{"grants": []}\n';

export interface AssessRequest {
  /** Undefined where no policy is in force. */
  readonly current: string | undefined;
  readonly candidate: string;
  readonly by: Requester;
  readonly sha256Hex: Sha256Hex;
}

/** A large policy takes a while: only callers who may administer come this far. */
export function assessPolicy(ports: PolicyPorts, request: AssessRequest): Assessment {
  const { candidate, by } = request;
  const current = request.current ?? emptyPolicyText;
  const sha256Hex = sha256OfBytes(request.sha256Hex);
  const [before, after] = [parsePolicyText(current), parsePolicyText(candidate)];
  const actor = actorOf(by);
  const plan = planChange({
    current,
    candidate,
    baseHash: policyHash(current, { sha256Hex }),
    inventory: standInInventory(ports.inventory(), [before.file, after.file]),
    actor,
    protection: ports.protection(),
    sha256Hex,
  });
  const hasNetwork = ports.inventory().nodes.length > 0;
  const report = planReport({
    ...plan,
    findings: plan.findings
      .filter((found) => hasNetwork || !isAboutMachines(found))
      .map((found) => (actor.kind === 'agent' ? sterner(found) : found)),
  });
  const more = after.accepted
    ? [
        ...capabilityProblems(after.file),
        ...unboundNames(ports, after.file),
        ...retention(ports, before.file, after.file, request),
        ...lockOut(before.file, after.file),
        ...(actor.kind === 'agent' ? lostAccess(plan) : []),
      ]
    : [];
  const told = new Set(report.findings.map(({ message, pointer }) => `${pointer} ${message}`));
  const news = more.filter(({ message, pointer }) => !told.has(`${pointer} ${message}`));
  const findings = [...report.findings, ...news].toSorted(
    (a, b) => gravity[a.severity] - gravity[b.severity],
  );
  return { ...report, ...judged(findings, plan), findings, digest: plan.candidateHash };
}

/** Says that machines which exist lose the owner of their tag; stand-ins do not exist. */
function isAboutMachines({ code, at }: ChangeFinding): boolean {
  return code === 'orphan' && at?.file === 'current';
}

/** What a person may propose for themselves and another person approve, a program may not propose for itself at all. */
function sterner(found: ChangeFinding): ChangeFinding {
  return found.code === 'self_escalation' ? { ...found, severity: 'refuse' } : found;
}

/** Losses shown in findings. The semantic difference of the plan has them all. */
const lossesShown = 20;

/** An agent that was fooled into taking access away stops a team as surely as one that was fooled into giving it. */
function lostAccess({ changes = [] }: ChangePlan): readonly PlanFindingView[] {
  return changes
    .filter(({ change }) => change === 'removed')
    .slice(0, lossesShown)
    .map((change) =>
      finding(
        'hold',
        'lost_access',
        `an agent may not take access away by itself: ${describeChange(change)}`,
      ),
    );
}

/** Core hashes bytes, the control plane texts. */
export function sha256OfBytes(sha256Hex: Sha256Hex): (bytes: Uint8Array) => string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return (bytes) => sha256Hex(decoder.decode(bytes));
}

function actorOf({ actor, caller }: Requester): ChangeActor {
  const kind = caller?.subject.kind;
  const isPerson = kind === undefined || kind === 'user' || kind === 'operator';
  return {
    name: caller?.subject.display ?? actor.principal,
    // Through tools a program speaks, whoever it runs for.
    kind: isPerson && actor.channel !== 'mcp' ? 'human' : 'agent',
    // Whoever runs the process has it all already, whatever the configuration maps them to.
    selectors: caller === undefined || isOwner(caller) ? [] : caller.subject.selectors,
  };
}

function isOwner({ subject }: Caller): boolean {
  return subject.authority === 'local';
}

const gravity: Readonly<Record<PlanFindingView['severity'], number>> = {
  refuse: 0,
  hold: 1,
  note: 2,
};

function judged(
  findings: readonly PlanFindingView[],
  plan: ChangePlan,
): Pick<Assessment, 'verdict' | 'risk'> {
  const gravest = findings[0]?.severity;
  if (gravest === 'refuse') return { verdict: 'refused', risk: 'high' };
  if (gravest === 'hold') return { verdict: 'approval', risk: 'high' };
  const isWider = plan.changes?.some(({ change }) => change === 'added') === true;
  return { verdict: 'apply', risk: isWider ? 'medium' : 'low' };
}

interface Where {
  readonly pointer: string;
  readonly line: number;
  readonly column: number;
}

function finding(
  severity: PlanFindingView['severity'],
  code: string,
  message: string,
  at?: Where,
): PlanFindingView {
  const { pointer = '', line = 0, column = 0 } = at ?? {};
  const file = at === undefined ? null : 'candidate';
  return { severity, code, message, file, pointer, line, column };
}

/** An object that nobody can read grants nothing, which its author did not mean. */
function capabilityProblems(file: PolicyFile): readonly PlanFindingView[] {
  return capabilityFindings(file).map((found) =>
    finding(found.severity === 'error' ? 'refuse' : 'note', 'invalid', found.message, found),
  );
}

function unboundNames(ports: PolicyPorts, file: PolicyFile): readonly PlanFindingView[] {
  return undefinedNames(file, ports.names()).map((named) =>
    finding('refuse', 'undefined_name', undefinedNameText(named), named.at),
  );
}

/** Operations with which a mistake in the policy is mended. */
const mendingOperations = ['policy.plan', 'policy.apply', 'policy.confirm', 'policy.rollback'];

/** Whoever changes the policy over the network keeps what it takes to change it back. */
function retention(
  ports: PolicyPorts,
  before: PolicyFile,
  after: PolicyFile,
  { by, current }: AssessRequest,
): readonly PlanFindingView[] {
  const author = by.caller?.subject;
  if (author === undefined || author.authority === 'local') return [];
  const held = current === undefined ? mendingOperations : operationsOf(ports, before, author);
  const kept = new Set(operationsOf(ports, after, author));
  const lost = held.filter((operation) => !kept.has(operation));
  if (lost.length === 0) return [];
  const message = `${author.display} could not use ${lost.join(', ')} any more, and so not mend this change`;
  return [finding('refuse', 'cap_retention', message)];
}

/** Where people administer over the network today, somebody has to be left who may change the policy. */
function lockOut(before: PolicyFile, after: PolicyFile): readonly PlanFindingView[] {
  if (!hasAdministrator(before) || hasAdministrator(after)) return [];
  const message =
    'nobody could change the policy over the network any more, only the owner of the control socket';
  return [finding('hold', 'cap_retention', message)];
}

function hasAdministrator(file: PolicyFile): boolean {
  return entriesOfFile(file).entries.some(
    (entry) =>
      entry.kind === 'admin' && entry.object.tools.some((glob) => glob.matches('policy.apply')),
  );
}

function operationsOf(
  ports: PolicyPorts,
  file: PolicyFile,
  principal: Principal,
): readonly string[] {
  const inventory = ports.inventory();
  const gateway = new GatewayAccess(file, { revision: '', point: undefined, inventory });
  const access = gateway.accessOf(principal);
  return mendingOperations.filter((operation) => access.decideAdmin(operation).allowed);
}
