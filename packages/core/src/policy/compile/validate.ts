/** A file against an inventory: what can only be judged with the people and machines at hand. */
import { type Finding, Findings, isError, refusalOf } from '../file/finding.ts';
import { findingsMax } from '../file/limits.ts';
import type { ParsedPolicy } from '../file/parse.ts';
import type { Selector } from '../file/selector.ts';
import { localpartDomains } from '../file/ssh.ts';
import type { Inventory } from './inventory.ts';
import { runSshTests, sshTestRefusal } from './ssh-test-run.ts';
import { compileTailnet, type Tailnet } from './tailnet.ts';
import { runTests, type TestOutcome } from './test-run.ts';
import { goQuote } from '../../base/quote.ts';

export interface ValidatedPolicy {
  readonly tailnet: Tailnet;
  /** Findings of the file first, then those of this inventory. */
  readonly findings: readonly Finding[];
  readonly tests: readonly TestOutcome[];
  readonly sshTests: readonly TestOutcome[];
  readonly accepted: boolean;
  readonly refusal: string | undefined;
}

/** Compiles, checks the names of people, runs the tests of the file. What the service does on every save. */
export function validatePolicy(parsed: ParsedPolicy, inventory: Inventory): ValidatedPolicy {
  const tailnet = compileTailnet(parsed.file, inventory);
  const findings = new Findings(findingsMax);
  checkDomains(tailnet, findings);
  checkUsers(tailnet, findings);
  checkSshTestTargets(tailnet, findings);
  const tests = parsed.accepted ? runTests(tailnet) : [];
  const sshTests = parsed.accepted ? runSshTests(tailnet) : [];
  for (const outcome of [...tests, ...sshTests]) reportFailure(findings, outcome);
  const all = [...parsed.findings, ...findings.list];
  return {
    tailnet,
    findings: all,
    tests,
    sshTests,
    accepted: !all.some((finding) => isError(finding)),
    refusal: refusalOf(all),
  };
}

function reportFailure(findings: Findings, { passed, at, src, errors }: TestOutcome): void {
  if (passed) return;
  const detail = errors.map((error) => `${src}: ${error}`).join('; ');
  findings.error('test_failed', at, `test(s) failed: ${detail}`);
}

function checkSshTestTargets(tailnet: Tailnet, findings: Findings): void {
  for (const { dst } of tailnet.program.file.sshTests) {
    for (const { text, at } of dst) {
      const refusal = sshTestRefusal(tailnet, text);
      if (refusal !== undefined) findings.error('bad_test', at, refusal);
    }
  }
}

/** `user:*@domain` and `localpart:*@domain` may name only domains of this tailnet. */
function checkDomains({ program }: Tailnet, findings: Findings): void {
  const { file, directory } = program;
  const check = (domain: string, at: Selector['at']): void => {
    if (directory.domains.has(domain)) return;
    const why =
      'is not associated with this Tailnet and cannot be used in user:*@<domain> expressions';
    findings.error('unknown_user', at, `${domain} ${why}`);
  };
  for (const selector of selectorsOf(program.file)) {
    if (selector.kind === 'domain') check(selector.domain, selector.at);
  }
  for (const rule of file.ssh) for (const { text, at } of localpartDomains(rule)) check(text, at);
}

function checkUsers({ program }: Tailnet, findings: Findings): void {
  const { file, directory } = program;
  for (const selector of selectorsOf(file)) {
    if (selector.kind === 'user' && directory.byLogin(selector.name) === undefined) {
      findings.warning('unknown_user', selector.at, `user not found: ${goQuote(selector.name)}`);
    }
  }
  for (const group of file.groups.values()) {
    for (const { text, at } of group.members) {
      if (directory.byLogin(text) === undefined) {
        const why = `user not found: ${goQuote(text)}`;
        findings.warning('unknown_user', at, `${goQuote(group.name)}: ${why}`);
      }
    }
  }
}

function* selectorsOf(file: ParsedPolicy['file']): Iterable<Selector> {
  for (const rule of [...(file.acls ?? []), ...(file.grants ?? [])])
    yield* [...rule.src, ...rule.dst];
  for (const rule of file.ssh) yield* [...rule.src, ...rule.dst];
  for (const rule of file.nodeAttrs) yield* rule.target;
  for (const { owners } of file.tagOwners.values()) yield* owners;
  for (const { approvers } of file.autoApprovers.routes) yield* approvers;
  yield* file.autoApprovers.exitNode;
}
