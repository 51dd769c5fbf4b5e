/** Reads `ssh`. The order of the checks is that of the service where one rule has several mistakes. */
import { goQuote } from '../../base/quote.ts';
import { formatDurationMs, parseDurationMs } from './duration.ts';
import { rulesMax } from './limits.ts';
import type { SshRule, SshUser } from './model.ts';
import type { Reader, Text } from './reader.ts';
import { readPostureNames, readSelectors, type Scope } from './scope.ts';
import type { Selector } from './selector.ts';
import type { Position, SourceValue } from './source.ts';

/** Seven days, the longest that a check may hold. */
export const checkPeriodMsMax: number = 168 * 3_600_000;
/** How long a check holds where the rule does not say. */
export const checkPeriodMsDefault: number = 12 * 3_600_000;

const sshFields = [
  'action',
  'src',
  'dst',
  'users',
  'checkPeriod',
  'acceptEnv',
  'srcPosture',
  'recorder',
  'enforceRecorder',
] as const;

export function readSsh(
  reader: Reader,
  source: SourceValue | undefined,
  scope: Scope,
): readonly SshRule[] {
  return reader
    .items(source, 'ssh', rulesMax)
    .map((item, index) => readSshRule(reader, item, scope, index));
}

function readSshRule(reader: Reader, source: SourceValue, scope: Scope, index: number): SshRule {
  const fields = reader.fields(source, 'an ssh rule', sshFields);
  const action = readAction(reader, fields.action, source.at);
  const users = readUsers(reader, fields.users, source.at);
  const acceptEnv = reader.texts(fields.acceptEnv, 'acceptEnv').map(({ text, at }) => {
    if (text === '') reader.findings.error('bad_ssh_rule', at, 'acceptEnv values cannot be empty');
    return text;
  });
  const src = readSelectors(reader, scope, fields.src, 'ssh-src');
  const dst = readSelectors(reader, scope, fields.dst, 'ssh-dst');
  checkDirection(reader, src, dst);
  const checkPeriodMs = readCheckPeriod(reader, fields.checkPeriod, action);
  return {
    id: source.at.pointer,
    index,
    at: source.at,
    action,
    src,
    dst,
    users,
    checkPeriodMs,
    acceptEnv,
    srcPosture: readPostureNames(reader, scope, fields.srcPosture),
    recorder: readSelectors(reader, scope, fields.recorder, 'ssh-dst'),
    enforceRecorder: reader.flag(fields.enforceRecorder, 'enforceRecorder') ?? false,
  };
}

function readAction(
  reader: Reader,
  source: SourceValue | undefined,
  at: Position,
): SshRule['action'] {
  const action = reader.text(source, 'action');
  if (action?.text === 'accept' || action?.text === 'check') return action.text;
  if (action === undefined || action.text === '') {
    reader.findings.error('bad_action', at, 'action must be specified');
  } else {
    reader.findings.error('bad_action', action.at, `${goQuote(action.text)} is not a valid action`);
  }
  return 'check';
}

function readUsers(
  reader: Reader,
  source: SourceValue | undefined,
  at: Position,
): readonly SshUser[] {
  const users = reader.texts(source, 'users');
  if (users.length === 0) reader.findings.error('bad_ssh_rule', at, 'users must be specified');
  return users.flatMap(({ text, at: place }) => {
    if (text !== '' && text !== '*') return [parseSshUser(text)];
    reader.findings.error('bad_ssh_rule', place, `user ${goQuote(text)} is not valid`);
    return [];
  });
}

/** Only `localpart:*@domain` is special; any other text with that start is the name of a local user. */
export function parseSshUser(text: string): SshUser {
  if (text === 'root') return { kind: 'root' };
  if (text === 'autogroup:nonroot') return { kind: 'nonroot' };
  const domain = /^localpart:\*@([^@]+)$/.exec(text)?.[1];
  return domain === undefined
    ? { kind: 'literal', name: text }
    : { kind: 'localpart', domain, text };
}

function readCheckPeriod(
  reader: Reader,
  source: SourceValue | undefined,
  action: SshRule['action'],
): SshRule['checkPeriodMs'] {
  const period = reader.text(source, 'checkPeriod');
  if (period === undefined) return undefined;
  const { text, at } = period;
  if (action !== 'check') {
    reader.findings.error('bad_ssh_rule', at, 'checkPeriod is only valid with action "check"');
    return undefined;
  }
  if (text === 'always') return 'always';
  const duration = parseDurationMs(text);
  if (!duration.ok) {
    reader.findings.error('bad_ssh_rule', at, duration.error);
    return undefined;
  }
  const shown = formatDurationMs(duration.value);
  if (duration.value < 0) {
    reader.findings.error('bad_ssh_rule', at, `checkPeriod ${shown} must be a positive duration`);
  } else if (duration.value > checkPeriodMsMax) {
    reader.findings.error('bad_ssh_rule', at, `checkPeriod ${shown} is above the max (168h)`);
  }
  return duration.value;
}

function isTagged(selector: Selector): boolean {
  return selector.kind === 'tag' || (selector.kind === 'autogroup' && selector.name === 'tagged');
}

/** Machines without an owner may not log in to those of people, and people only to their own. */
function checkDirection(reader: Reader, src: readonly Selector[], dst: readonly Selector[]): void {
  const hasTagged = src.some((selector) => isTagged(selector));
  for (const selector of dst) {
    if (selector.kind === 'user') {
      if (hasTagged) {
        const why = 'tags in SSH source cannot access user-owned devices';
        reader.findings.error('selector_not_allowed', selector.at, `${why} (${selector.text})`);
      } else if (!isOnly(src, selector)) {
        const why = 'user destination requires source to contain only that same user';
        reader.findings.error(
          'selector_not_allowed',
          selector.at,
          `${why} ${goQuote(selector.text)}`,
        );
      }
    }
    if (selector.kind === 'autogroup' && selector.name !== 'tagged' && hasTagged) {
      const why = `tags in SSH source cannot access ${selector.text}`;
      reader.findings.error('selector_not_allowed', selector.at, why);
    }
  }
}

function isOnly(src: readonly Selector[], user: Selector): boolean {
  return src.every((selector) => selector.kind === 'user' && selector.text === user.text);
}

/** Domains that `localpart:*@domain` of a rule names, each with its place, for the check against the tailnet. */
export function localpartDomains(rule: SshRule): readonly Text[] {
  return rule.users.flatMap((user) =>
    user.kind === 'localpart' ? [{ text: user.domain, at: rule.at }] : [],
  );
}
