/** A proposed policy file against the one in force: everything that whoever decides needs to see. */
import { format } from '../../base/hujson/index.ts';
import { byteTextOf, textOf } from '../../base/hujson/index.ts';
import { capabilityFindings } from '../access/index.ts';
import { type TestOutcome, validatePolicy } from '../compile/index.ts';
import { type Finding, isError, type ParsedPolicy, parsePolicyText } from '../file/index.ts';
import { type AccessChange, comparePolicies } from '../reason/index.ts';
import type { ChangeContext } from './context.ts';
import { escalationFindings } from './escalation.ts';
import { type ChangeFinding, placeOf } from './finding.ts';
import { lockOutFindings } from './lock-out.ts';
import { orphanFindings } from './orphans.ts';
import { ratchetFindings } from './ratchet.ts';
import type { ChangeRequest } from './request.ts';
import { settingFindings } from './settings.ts';
import { tagOwnerFindings } from './tag-owners.ts';
import { textDiff } from './text-diff.ts';
import { wideningFindings } from './widening.ts';

/** `refused`: it cannot be applied. `approval`: somebody else has to agree. `apply`: it may go ahead. */
export type Verdict = 'refused' | 'approval' | 'apply';

/** `low`: nobody gains anything. `medium`: somebody gains access. `high`: refused or held. */
export type Risk = 'low' | 'medium' | 'high';

export interface ChangePlan {
  readonly verdict: Verdict;
  readonly risk: Risk;
  /** Why, the gravest first. */
  readonly findings: readonly ChangeFinding[];
  /** SHA-256 of the canonical format: the ETag that Tailscale's API has for the same file. */
  readonly currentHash: string;
  readonly candidateHash: string;
  /** Unified difference of the texts. */
  readonly textDiff: string;
  /** What changes for whom; undefined where the candidate cannot be read. */
  readonly changes: readonly AccessChange[] | undefined;
  /** Tests of the candidate. */
  readonly tests: readonly TestOutcome[];
}

/** Pure: the same request gives the same plan. */
export function planChange(request: ChangeRequest): ChangePlan {
  const [before, after] = [parsePolicyText(request.current), parsePolicyText(request.candidate)];
  const hashes = {
    currentHash: policyHash(request.current, request),
    candidateHash: policyHash(request.candidate, request),
  };
  const diff = textDiff(decoded(request.current), decoded(request.candidate));
  const early = [
    ...etagFindings(request, hashes.currentHash),
    ...emptyFindings(request),
    ...invalidFindings(before, after),
  ];
  const validated = validatePolicy(after, request.inventory);
  const own = [...validated.findings, ...capabilityFindings(after.file)].filter(
    (finding) => isError(finding) && !after.findings.includes(finding),
  );
  const invalid = own.map(({ message, pointer, line, column }): ChangeFinding => {
    const at = placeOf('candidate', { pointer, line, column });
    return { code: 'invalid', severity: 'refuse', message, at, witness: undefined };
  });
  const base = { ...hashes, textDiff: diff, tests: [...validated.tests, ...validated.sshTests] };
  if (!after.accepted || !before.accepted) {
    return finish({ ...base, changes: undefined }, [...early, ...invalid]);
  }
  const comparison = comparePolicies(before.file, after.file, request.inventory);
  const context: ChangeContext = { request, before: before.file, after: after.file, comparison };
  const findings = [
    ...early,
    ...invalid,
    ...failOpenFindings(context),
    ...lockOutFindings(context),
    ...escalationFindings(context),
    ...ratchetFindings(context),
    ...tagOwnerFindings(context),
    ...wideningFindings(context),
    ...settingFindings(context),
    ...orphanFindings(context),
    ...unknownUserFindings(before, validated.findings, request),
    ...incompleteFindings(context),
  ];
  return finish({ ...base, changes: comparison.changes }, findings);
}

const gravity: Readonly<Record<ChangeFinding['severity'], number>> = {
  refuse: 0,
  hold: 1,
  note: 2,
};

function finish(
  plan: Omit<ChangePlan, 'verdict' | 'risk' | 'findings'>,
  found: readonly ChangeFinding[],
): ChangePlan {
  const findings = found.toSorted((a, b) => gravity[a.severity] - gravity[b.severity]);
  const gravest = findings[0]?.severity;
  const verdict = gravest === 'refuse' ? 'refused' : gravest === 'hold' ? 'approval' : 'apply';
  const isWider = plan.changes?.some(({ change }) => change === 'added') === true;
  const risk = verdict !== 'apply' ? 'high' : isWider ? 'medium' : 'low';
  return { ...plan, verdict, risk, findings };
}

/** Of a text that is not HuJSON, the hash of the text itself. */
export function policyHash(
  text: Uint8Array | string,
  { sha256Hex }: Pick<ChangeRequest, 'sha256Hex'>,
): string {
  const formatted = format(text);
  return sha256Hex(formatted.ok ? formatted.value : asBytes(text));
}

function asBytes(text: Uint8Array | string): Uint8Array {
  return typeof text === 'string' ? new TextEncoder().encode(text) : text;
}

function decoded(text: Uint8Array | string): string {
  return typeof text === 'string' ? text : textOf(byteTextOf(text));
}

function refuse(
  code: ChangeFinding['code'],
  message: string,
  at?: ChangeFinding['at'],
): ChangeFinding {
  return { code, severity: 'refuse', message, at, witness: undefined };
}

function etagFindings({ baseHash }: ChangeRequest, currentHash: string): readonly ChangeFinding[] {
  if (baseHash === currentHash) return [];
  const message = 'the policy in force is not the one that this change was made from: plan again';
  return [refuse('etag', message)];
}

/** The service takes an empty body as the wish for its default, which allows everything. */
function emptyFindings({ candidate }: ChangeRequest): readonly ChangeFinding[] {
  if (decoded(candidate).trim() !== '') return [];
  return [
    refuse('fail_open', 'an empty file would be replaced by the default, which allows everything'),
  ];
}

function invalidFindings(before: ParsedPolicy, after: ParsedPolicy): readonly ChangeFinding[] {
  const of = (
    file: 'current' | 'candidate',
    { findings }: ParsedPolicy,
  ): readonly ChangeFinding[] =>
    findings
      .filter((finding) => isError(finding))
      .map(({ message, pointer, line, column }) => {
        const where = file === 'current' ? 'the policy in force cannot be read: ' : '';
        return refuse('invalid', where + message, placeOf(file, { pointer, line, column }));
      });
  return [...of('current', before), ...of('candidate', after)];
}

function failOpenFindings({ before, after }: ChangeContext): readonly ChangeFinding[] {
  if (after.acls !== undefined || after.grants !== undefined) return [];
  const was = before.acls === undefined && before.grants === undefined ? ', as it does today' : '';
  const message = `the file has neither "acls" nor "grants", so it would allow everything to everyone${was}; an empty list allows nothing`;
  return [refuse('fail_open', message, { file: 'candidate', pointer: '', line: 1, column: 1 })];
}

/** People who are named anew and are not here. They may join later, or be misspelt. */
function unknownUserFindings(
  before: ParsedPolicy,
  findings: readonly Finding[],
  { inventory }: ChangeRequest,
): readonly ChangeFinding[] {
  const known = new Set(validatePolicy(before, inventory).findings.map(({ message }) => message));
  return findings
    .filter(
      ({ code, severity, message }) =>
        code === 'unknown_user' && severity === 'warning' && !known.has(message),
    )
    .map(({ message, pointer, line, column }) => {
      const at = placeOf('candidate', { pointer, line, column });
      return { code: 'orphan', severity: 'note', message, at, witness: undefined };
    });
}

function incompleteFindings({ comparison }: ChangeContext): readonly ChangeFinding[] {
  if (comparison.world.isComplete) return [];
  const message =
    'the policies have more postures, routes or names than can be compared one by one: differences may be missing';
  return [{ code: 'incomplete', severity: 'hold', message, at: undefined, witness: undefined }];
}
