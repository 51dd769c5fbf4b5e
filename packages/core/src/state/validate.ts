import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Command } from './command.ts';
import { containmentCommandFlaw } from './containment-decide.ts';
import { stateLimits } from './limits.ts';
import type { RevocationTarget, RevokedPeerKind } from './model.ts';
import { networkCommandFlaw } from './network-validate.ts';
import { noPolicy } from './policy-state.ts';
import { registryCommandFlaw } from './registry-decide.ts';

/**
 * Whether a command says something at all, whatever the state: every text within its limit, every time a time. Each
 * function gives the first thing wrong, or undefined.
 */
export function commandFlaw(command: Command): Refusal | undefined {
  switch (command.kind) {
    case 'key.create':
      return keyFlaw(command);
    case 'key.revoke':
      return identifierFlaw('key', command.key) ?? reasonFlaw('reason', command.reason);
    case 'key.rotate':
      return (
        identifierFlaw('key', command.key) ??
        (hintPattern.test(command.hint) ? undefined : flaw('hint', hintWords)) ??
        digestFlaw('digest', command.digest) ??
        reasonFlaw('reason', command.reason)
      );
    case 'revocation.create':
      return targetFlaw(command.target) ?? reasonFlaw('reason', command.reason);
    case 'revocation.lift':
      return identifierFlaw('id', command.id);
    case 'config.apply':
      return configFlaw(command);
    case 'policy.apply':
      return policyFlaw(command) ?? trialFlaw(command.confirmWithinMs) ?? planFlaw(command.plan);
    case 'policy.confirm':
      return digestFlaw('digest', command.digest);
    case 'policy.rollback':
      return digestFlaw('expected', command.expected) ?? reasonFlaw('reason', command.reason);
    case 'plan.create':
      return policyFlaw(command) ?? proposalFlaw(command);
    case 'plan.approve':
      return identifierFlaw('id', command.id) ?? personsFlaw(command.persons);
    case 'state.restored':
      return digestFlaw('headHash', command.headHash) ?? timeFlaw('backupAtMs', command.backupAtMs);
    case 'user.create':
    case 'user.role':
    case 'preauthkey.create':
    case 'preauthkey.revoke':
    case 'node.register':
    case 'node.adopt':
    case 'node.expire':
    case 'node.approve':
    case 'node.delete':
    case 'node.rename':
    case 'node.tag':
    case 'node.routes':
    case 'dns.set':
      return networkCommandFlaw(command);
    case 'instance.register':
    case 'instance.leave':
    case 'instances.expire':
    case 'group.rotate':
      return registryCommandFlaw(command);
    case 'block.create':
      return (
        (command.target.by === 'principal'
          ? identifierFlaw('target.principal', command.target.principal)
          : undefined) ??
        optionalTimeFlaw('expiresAtMs', command.expiresAtMs) ??
        reasonFlaw('reason', command.reason) ??
        containmentCommandFlaw(command)
      );
    case 'block.lift':
      return identifierFlaw('id', command.id);
    case 'isolation.set':
      return reasonFlaw('reason', command.reason) ?? containmentCommandFlaw(command);
    case 'isolation.lift':
    case 'incident.note':
      return containmentCommandFlaw(command);
    default:
      return command satisfies never;
  }
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const hintPattern = /^[0-9A-Za-z]{4}$/;
const hintWords = 'A hint is four letters or digits.';
const digestPattern = /^[0-9a-f]{64}$/;
/** C0, DEL, C1, and the bidirectional controls that make one text look like another. */
const controls = /\p{Cc}|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

type KeyCreate = Extract<Command, { kind: 'key.create' }>;

function keyFlaw(command: KeyCreate): Refusal | undefined {
  const { name, hint, scope, boundTo, expiresAtMs } = command;
  if (!namePattern.test(name) || name.length > stateLimits.keyNameCharsMax) {
    return flaw(
      'name',
      `A key name has 1 to ${stateLimits.keyNameCharsMax} letters, digits, dots, dashes and underscores, and starts with a letter or digit.`,
    );
  }
  if (name.startsWith('key_')) return flaw('name', 'Names that start with key_ are ids.');
  if (!hintPattern.test(hint)) return flaw('hint', hintWords);
  return (
    digestFlaw('digest', command.digest) ??
    entriesFlaw('scope.models', scope.models) ??
    entriesFlaw('scope.dialects', scope.dialects) ??
    entriesFlaw('scope.join', scope.join) ??
    entriesFlaw('scope.network', scope.network) ??
    (command.description === undefined
      ? undefined
      : identifierFlaw('description', command.description)) ??
    listFlaw('boundTo', boundTo, stateLimits.boundToMax, stateLimits.identifierCharsMax) ??
    (expiresAtMs === undefined ? undefined : timeFlaw('expiresAtMs', expiresAtMs))
  );
}

const peerIds: Readonly<Record<RevokedPeerKind, RegExp>> = {
  app: /^[0-9a-f]{40}$/,
  instance: /^[0-9a-f]{1,64}$/,
  device: /^[0-9a-f]{64}$/,
  serial: /^(?:0|[1-9a-f][0-9a-f]{0,63})$/,
};

function targetFlaw(target: RevocationTarget): Refusal | undefined {
  if (target.by === 'peer') {
    return peerIds[target.kind].test(target.id)
      ? undefined
      : flaw('target.id', `This is no ${target.kind} of a peer: hex in lower case.`);
  }
  const issuer = identifierFlaw('target.issuer', target.issuer);
  if (issuer !== undefined) return issuer;
  switch (target.by) {
    case 'token':
      return (
        identifierFlaw('target.tokenId', target.tokenId) ??
        optionalTimeFlaw('target.expiresAtMs', target.expiresAtMs)
      );
    case 'subject':
      return (
        identifierFlaw('target.subject', target.subject) ??
        optionalTimeFlaw('target.issuedBeforeMs', target.issuedBeforeMs)
      );
    case 'issuer':
      return timeFlaw('target.issuedBeforeMs', target.issuedBeforeMs);
    default:
      return target satisfies never;
  }
}

function configFlaw(command: Extract<Command, { kind: 'config.apply' }>): Refusal | undefined {
  const { text, expected } = command;
  if (text.length > stateLimits.configCharsMax) {
    return flaw('text', `A configuration has at most ${stateLimits.configCharsMax} characters.`);
  }
  if (!text.isWellFormed()) return flaw('text', 'The configuration is not well-formed Unicode.');
  if (expected !== undefined && !(Number.isSafeInteger(expected) && expected >= 0)) {
    return flaw('expected', 'The expected generation is a number from 0.');
  }
  return digestFlaw('digest', command.digest) ?? reasonFlaw('note', command.note);
}

function policyFlaw(command: {
  readonly text: string;
  readonly digest: string;
  readonly base: string;
  readonly note?: string;
}): Refusal | undefined {
  const { text, digest, base, note } = command;
  if (text.length > stateLimits.policyCharsMax) {
    return flaw('text', `A policy has at most ${stateLimits.policyCharsMax} characters.`);
  }
  if (!text.isWellFormed()) return flaw('text', 'The policy is not well-formed Unicode.');
  return (
    digestFlaw('digest', digest) ??
    (base === noPolicy ? undefined : digestFlaw('base', base)) ??
    reasonFlaw('note', note)
  );
}

function trialFlaw(trialMs: number | undefined): Refusal | undefined {
  const { trialMsMin, trialMsMax } = stateLimits;
  if (trialMs === undefined) return undefined;
  if (Number.isSafeInteger(trialMs) && trialMs >= trialMsMin && trialMs <= trialMsMax) {
    return undefined;
  }
  return flaw('confirmWithinMs', `A trial takes ${trialMsMin} to ${trialMsMax} milliseconds.`);
}

function planFlaw(plan: string | undefined): Refusal | undefined {
  return plan === undefined ? undefined : identifierFlaw('plan', plan);
}

function proposalFlaw({
  summary,
  persons,
  lifeMs,
}: Extract<Command, { kind: 'plan.create' }>): Refusal | undefined {
  const { planLifeMsMax, planSentencesMax, planSentenceCharsMax } = stateLimits;
  if (!Number.isSafeInteger(lifeMs) || lifeMs < 1 || lifeMs > planLifeMsMax) {
    return flaw('lifeMs', `A plan waits for at most ${planLifeMsMax} milliseconds.`);
  }
  if (
    summary.length > planSentencesMax ||
    summary.some((sentence) => !isPlain(sentence, planSentenceCharsMax))
  ) {
    return flaw('summary', `At most ${planSentencesMax} sentences without control characters.`);
  }
  return personsFlaw(persons);
}

function personsFlaw(persons: readonly string[]): Refusal | undefined {
  return listFlaw('persons', persons, stateLimits.planPersonsMax, stateLimits.identifierCharsMax);
}

function entriesFlaw(param: string, entries: readonly string[] | undefined): Refusal | undefined {
  if (entries === undefined) return undefined;
  if (entries.length === 0) {
    return flaw(param, 'An empty list would allow nothing; leave it out to narrow nothing.');
  }
  return listFlaw(param, entries, stateLimits.scopeEntriesMax, stateLimits.scopeEntryCharsMax);
}

function listFlaw(
  param: string,
  entries: readonly string[],
  countMax: number,
  charsMax: number,
): Refusal | undefined {
  if (entries.length > countMax) return flaw(param, `At most ${countMax} entries.`);
  if (new Set(entries).size !== entries.length) return flaw(param, 'An entry stands twice.');
  const bad = entries.find((entry) => !isPlain(entry, charsMax) || /\s/.test(entry));
  if (bad === undefined) return undefined;
  return flaw(
    param,
    `An entry is empty, longer than ${charsMax} characters, or has spaces or control characters.`,
  );
}

function identifierFlaw(param: string, text: string): Refusal | undefined {
  if (isPlain(text, stateLimits.identifierCharsMax)) return undefined;
  return flaw(
    param,
    `Needs 1 to ${stateLimits.identifierCharsMax} characters without control characters.`,
  );
}

function reasonFlaw(param: string, text: string | undefined): Refusal | undefined {
  if (text === undefined || isPlain(text, stateLimits.reasonCharsMax)) return undefined;
  return flaw(
    param,
    `Needs 1 to ${stateLimits.reasonCharsMax} characters without control characters.`,
  );
}

function digestFlaw(param: string, text: string): Refusal | undefined {
  return digestPattern.test(text) ? undefined : flaw(param, 'Needs a SHA-256 in lower-case hex.');
}

function optionalTimeFlaw(param: string, timeMs: number | undefined): Refusal | undefined {
  return timeMs === undefined ? undefined : timeFlaw(param, timeMs);
}

function timeFlaw(param: string, timeMs: number): Refusal | undefined {
  if (Number.isSafeInteger(timeMs) && timeMs >= 0 && timeMs <= stateLimits.timeMsMax) {
    return undefined;
  }
  return flaw(param, 'Needs a time in whole milliseconds since 1970, before the year 10000.');
}

function isPlain(text: string, charsMax: number): boolean {
  return text !== '' && text.length <= charsMax && text.isWellFormed() && !controls.test(text);
}

function flaw(param: string, message: string): Refusal {
  return refusal('invalid_request', `${param}: ${message}`, { param });
}
