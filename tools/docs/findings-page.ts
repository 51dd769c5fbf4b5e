import type { FindingKind } from '@postern/server/ops';
import { checkLines, doctorRows, networkFindingKinds, stepRows } from '@postern/server/ops';
import { generated, table } from './markdown.ts';

const lists = {
  network: 'Networking',
  hygiene: 'Security and hygiene',
  own: 'Postern itself',
} as const;

/** The checklist of `postern check`, from its table. */
export function checklistPage(): string {
  const groups = Object.entries(lists).flatMap(([list, title]) => [
    `## ${title}`,
    '',
    ...findings(checkLines.filter((line) => line.list === list)),
    '',
  ]);
  return [
    generated,
    '# The checklist',
    '',
    '`postern check` judges the running Postern and its machine by these lines. Each is pass, fail or unknown, with what it was read from;',
    '`unknown` never counts as pass. Exit status 0: all pass, 1: one fails, 5: one could not be looked at. How to use it:',
    '[check an instance](../howto/check.md). Each line is turned red by a fault that no other line shows (`test/conformance/check.slow.test.ts`).',
    '',
    ...groups,
  ]
    .join('\n')
    .trimEnd()
    .concat('\n');
}

/** What `postern doctor` finds, by the complaint that brings people to it. */
export function troubleshootingPage(): string {
  return [
    generated,
    '# What doctor finds',
    '',
    '`postern doctor` looks at everything that a start depends on, and starts nothing; where there is a tailscaled on this machine it looks',
    'at it, too (`postern doctor network`). Every finding says what is so, why it matters and what to type next.',
    '',
    '## Before a start and around it',
    '',
    ...table(
      ['finding', 'about', 'all is well where', 'why it matters', 'else'],
      doctorRows.map(({ id, about, title, why, next }) => [
        `\`${id}\``,
        about,
        `${title}.`,
        why,
        next,
      ]),
    ),
    '',
    '## This machine on its network',
    '',
    ...findings(networkFindingKinds),
    '',
  ].join('\n');
}

/** The steps of `postern incident`, from their table. */
export function incidentPage(): string {
  return [
    generated,
    '# The steps of an incident',
    '',
    'Each command does its step on the running gateway and then shows by looking again that it had its effect. Exit status 0: proven; 5: it',
    'could not be shown. All take `--reason`, `--dry-run` (nothing is done) and `--resume ID` (goes on where it was broken off), and write',
    'signed evidence to `STATE/incidents`, which `postern incident verify FILE --key KEY` checks anywhere. In order:',
    '[an endpoint was exposed](../howto/incident-endpoint-exposed.md), [a gateway was compromised](../howto/incident-gateway-compromised.md).',
    '',
    ...table(
      ['step', 'plan', 'what it does', 'what proves it', 'such as'],
      stepRows.map(({ name, plan, does, proves, example }) => [
        `\`${name}\``,
        plan,
        does,
        proves,
        `\`${example}\``,
      ]),
    ),
    '',
  ].join('\n');
}

function findings(kinds: readonly FindingKind[]): readonly string[] {
  return table(
    ['line', 'says', 'why it matters', 'where it fails', 'severity'],
    kinds.map(({ id, title, why, next, severity }) => [
      `\`${id}\``,
      `${title}.`,
      why,
      next,
      severity,
    ]),
  );
}
