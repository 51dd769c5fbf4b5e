import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { authorityWords } from './authority.ts';
import { shown, table } from './table.ts';

/** Answers about policies as people read them. */

function objects(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter((each) => isJsonObject(each)) : [];
}

function texts(value: JsonValue | undefined): string {
  return Array.isArray(value) ? value.map((each: JsonValue) => shown(each)).join(', ') : '';
}

/** `policy.hujson:6:12: error: … (bad_capability)`: what editors and CI systems take for a place. */
export function findingLines(name: string, findings: JsonValue | undefined): readonly string[] {
  return objects(findings).map((finding) => {
    const { line, column, severity, message, code } = finding;
    const file = finding['file'] === 'current' ? 'the policy in force' : name;
    const place = line === 0 ? file : `${file}:${shown(line)}:${shown(column)}`;
    return `${place}: ${shown(severity)}: ${shown(message)} (${shown(code)})`;
  });
}

export function testTable(name: string, tests: JsonValue | undefined): string {
  const rows = objects(tests).map(({ passed, kind, src, line, errors }) => [
    passed === true ? 'pass' : 'FAIL',
    shown(kind),
    shown(src),
    `${name}:${shown(line)}`,
    texts(errors),
  ]);
  return table(['result', 'kind', 'source', 'place', 'what is wrong'], rows);
}

export function changeTable(changes: JsonValue | undefined): string {
  const rows = objects(changes).map(({ change, sources, targets, what, rules }) => [
    change === 'added' ? 'gains' : 'loses',
    texts(sources),
    shown(what),
    texts(targets),
    texts(rules),
  ]);
  return rows.length === 0
    ? 'Nobody gains or loses access.'
    : table(['change', 'who', 'what', 'where', 'by'], rows);
}

export function reachTable(rows: JsonValue | undefined): string {
  const cells = objects(rows).map(({ sources, targets, network, capabilities, ssh, rules }) => [
    texts(sources),
    texts(targets),
    [
      ...(network === 'nothing' ? [] : [shown(network)]),
      ...(Array.isArray(capabilities) ? capabilities.map((each: JsonValue) => shown(each)) : []),
      ...(Array.isArray(ssh) ? ssh.map((each: JsonValue) => `ssh ${shown(each)}`) : []),
    ].join('; '),
    texts(rules),
  ]);
  return cells.length === 0
    ? 'Nobody reaches anything.'
    : table(['who', 'where', 'what', 'by'], cells);
}

export function explanation(name: string, answer: JsonObject): string {
  const rules = objects(answer['rules']).map(
    ({ line, column, text }) => `  ${name}:${shown(line)}:${shown(column)}: ${shown(text)}`,
  );
  const why = Array.isArray(answer['why']) ? answer['why'] : [];
  return [
    shown(answer['verdict']),
    ...why.map((each: JsonValue) => `  ${shown(each)}`),
    ...rules,
  ].join('\n');
}

const verdicts: Readonly<Record<string, string>> = {
  refused: 'refused: it cannot be applied',
  approval: 'needs an approval: it is of high risk',
  apply: 'may be applied',
};

export function planPage(name: string, planned: JsonObject): string {
  const { verdict, risk, findings, changes, plan } = planned;
  const lines = [
    `${name}: ${verdicts[shown(verdict)] ?? shown(verdict)} (risk ${shown(risk)})`,
    ...findingLines(name, findings),
    '',
    changeTable(changes),
  ];
  if (!isJsonObject(plan)) return lines.join('\n');
  const id = shown(plan['id']);
  const next =
    verdict === 'approval'
      ? `Next: postern approve ${id}, then postern policy apply --plan ${id}`
      : `Next: postern policy apply --plan ${id}`;
  return [...lines, '', `plan  ${id}, until ${shown(plan['expires_at'])}`, next].join('\n');
}

export function policyPage(answer: JsonObject): string {
  const { version, trial_until: trial, alarm } = answer;
  const candidate = isJsonObject(answer['candidate']) ? answer['candidate'] : {};
  const lines = [
    `decides    ${authorityWords(answer['authority'])}`,
    ...(isJsonObject(version) ? [`version    ${versionLine(version)}`] : []),
    ...(typeof trial === 'string' ? [`trial      until ${trial}; postern policy confirm`] : []),
    ...(isJsonObject(answer['previous']) ? [`before     ${versionLine(answer['previous'])}`] : []),
    `file       ${shown(candidate['file'])}: ${fileStates[shown(candidate['state'])] ?? '-'}`,
    ...(typeof alarm === 'string' ? [`ALARM      ${alarm}`] : []),
  ];
  const plans = objects(answer['plans']).map((plan) => [
    shown(plan['id']),
    shown(plan['risk']),
    shown(plan['created_by']),
    plan['approved_by'] === undefined ? '-' : shown(plan['approved_by']),
    shown(plan['expires_at']),
    Array.isArray(plan['summary']) ? shown(plan['summary'][0]) : '',
  ]);
  if (plans.length === 0) return lines.join('\n');
  const header = ['plan', 'risk', 'by', 'approved by', 'until', 'first finding'];
  return [...lines, '', table(header, plans)].join('\n');
}

const fileStates: Readonly<Record<string, string>> = {
  absent: 'there is none',
  unreadable: 'it cannot be read',
  in_force: 'in force',
  differs: 'not in force; postern policy plan',
};

export function versionLine({
  number,
  digest,
  applied_at: at,
  applied_by: by,
}: JsonObject): string {
  return `${shown(number)}, ${shown(digest).slice(0, 12)}, applied ${shown(at)} by ${shown(by)}`;
}
