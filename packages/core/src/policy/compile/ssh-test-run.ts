/** Runs `sshTests`: may everyone whom the source names log in as a user, may nobody, or only after a check. */
import { isSingleAddr, isV6 } from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type { SshTest } from '../file/model.ts';
import type { Selector } from '../file/selector.ts';
import type { IndexedNode } from './node-index.ts';
import { slotsOf } from './node-set.ts';
import { Lowering } from './program.ts';
import type { Tailnet } from './tailnet.ts';
import { selectorFor, type TestOutcome } from './test-run.ts';
import type { WireSshRule } from './wire.ts';

export function runSshTests(tailnet: Tailnet): readonly TestOutcome[] {
  return tailnet.program.file.sshTests.map((test) => runSshTest(tailnet, test));
}

function runSshTest(tailnet: Tailnet, test: SshTest): TestOutcome {
  const src = test.src?.text ?? '';
  const errors = errorsOf(tailnet, test, src);
  return { index: test.index, at: test.at, src, passed: errors.length === 0, errors };
}

function errorsOf(tailnet: Tailnet, test: SshTest, src: string): readonly string[] {
  if (test.accept.length + test.check.length + test.deny.length === 0) {
    return ['an SSH test needs accept, check or deny'];
  }
  if (test.dst.length === 0) return ['an SSH test needs a dst'];
  const selector = selectorFor(tailnet.program, src, test.at, 'ssh-test-src');
  if (!selector.ok) return [selector.error];
  const sources = nodesOf(tailnet, selector.value, []);
  if (sources.length === 0) return [`src ${goQuote(src)} names no machine`];
  const errors: string[] = [];
  for (const { text } of test.dst) {
    const targets = targetsOf(tailnet, test, text, sources);
    if (targets.ok) errors.push(...assertAll(tailnet, test, sources, targets.value, text));
    else errors.push(targets.error);
  }
  return errors;
}

function targetsOf(
  tailnet: Tailnet,
  test: SshTest,
  text: string,
  sources: readonly IndexedNode[],
): Result<readonly IndexedNode[], string> {
  const selector = selectorFor(tailnet.program, text, test.at, 'ssh-test-dst');
  if (!selector.ok) return selector;
  // The service reads what follows the last colon as a port, so that an IPv6 address names nothing.
  const isV6Literal = selector.value.kind === 'prefix' && isV6(selector.value.prefix.addr);
  const targets = isV6Literal ? [] : nodesOf(tailnet, selector.value, sources);
  return targets.length === 0 ? err(`dst ${goQuote(text)} names no machine`) : ok(targets);
}

/** Machines that a selector names. `autogroup:self` means those of the users of the sources. */
function nodesOf(
  { program, index }: Tailnet,
  selector: Selector,
  sources: readonly IndexedNode[],
): readonly IndexedNode[] {
  if (selector.kind === 'autogroup' && selector.name === 'self') {
    const owners = new Set(sources.map(({ ownerId }) => ownerId));
    if (owners.has(undefined)) return [];
    return atSlots(slotsOf(index.union([...owners].map((owner) => `user:${owner}`))));
  }
  const lowering = new Lowering(program.file, program.directory, program.services);
  const { keys, literals } = lowering.principals([selector], []);
  const slots = new Set(slotsOf(index.union(keys)));
  for (const { set } of literals) for (const slot of index.addressedIn(set)) slots.add(slot);
  return atSlots([...slots]);
  function atSlots(list: readonly number[]): readonly IndexedNode[] {
    return list.flatMap((slot) => index.at(slot) ?? []);
  }
}

type Access = 'none' | 'accept' | 'check';

function assertAll(
  tailnet: Tailnet,
  test: SshTest,
  sources: readonly IndexedNode[],
  targets: readonly IndexedNode[],
  dst: string,
): readonly string[] {
  const errors: string[] = [];
  const assert = (user: string, want: string, holds: (access: Access) => boolean): void => {
    for (const target of targets) {
      const rules = tailnet.sshOf(target.node.id, '');
      const wrong = sources.find((source) => !holds(accessOf(rules, source, user)));
      if (wrong === undefined) continue;
      const got = accessOf(rules, wrong, user);
      errors.push(
        `user ${goQuote(user)} on ${goQuote(dst)} (${target.node.hostname}): want: ${want}, got: ${got}`,
      );
    }
  };
  for (const { text } of test.accept) assert(text, 'accept', (access) => access !== 'none');
  for (const { text } of test.check) assert(text, 'check', (access) => access === 'check');
  for (const { text } of test.deny) assert(text, 'none', (access) => access === 'none');
  return errors;
}

/** What the server says: rules with a check stand first, so the first that matches is the strictest. */
function accessOf(rules: readonly WireSshRule[], source: IndexedNode, user: string): Access {
  if (user === '') return 'none';
  for (const { principals, sshUsers, action } of rules) {
    if (!principals.some(({ nodeIP }) => source.texts.includes(nodeIP))) continue;
    const mapped = Object.hasOwn(sshUsers, user)
      ? sshUsers[user]
      : user === 'root'
        ? ''
        : (sshUsers['*'] ?? '');
    if (mapped === undefined || mapped === '') continue;
    return action.accept === true ? 'accept' : 'check';
  }
  return 'none';
}

/** A destination of a test that the file refuses as such, in the service's words; undefined when it may stand. */
export function sshTestRefusal(tailnet: Tailnet, text: string): string | undefined {
  const { program } = tailnet;
  const at = { pointer: '', line: 0, column: 0 };
  if (text.startsWith('tag:') && !program.file.tagOwners.has(text)) {
    return `SSH tests dst contains unknown tag ${goQuote(text)}`;
  }
  const selector = selectorFor(program, text, at, 'ssh-test-dst');
  if (!selector.ok) {
    return selector.error.startsWith('SSH tests dst') ? selector.error : undefined;
  }
  const { value } = selector;
  const prefix =
    value.kind === 'prefix'
      ? value.prefix
      : value.kind === 'host'
        ? program.file.hosts.get(value.name)?.prefix
        : undefined;
  return prefix === undefined || isSingleAddr(prefix)
    ? undefined
    : `SSH tests dst contains disallowed element ${goQuote(text)}`;
}
