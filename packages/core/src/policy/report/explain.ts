/** Why something is allowed or not: at the gateway, and on the network. */
import { err, ok, type Result } from '../../base/result.ts';
import type { Principal } from '../../identity/index.ts';
import {
  dialectNames,
  explainDecision,
  GatewayAccess,
  type AdminDecision,
  type AiDecision,
} from '../access/index.ts';
import type { Inventory } from '../compile/inventory.ts';
import { parseGrantPorts } from '../file/port.ts';
import { parsePolicyText } from '../file/text.ts';
import type { Position } from '../file/source.ts';
import { explainAccess, formatRuleRef, packetBetween } from '../reason/index.ts';
import { relationOf } from './reach.ts';

export interface ExplainReport {
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  /** Sentences, the most important first. */
  readonly why: readonly string[];
  /** Rules that decided, or came nearest. */
  readonly rules: readonly {
    readonly pointer: string;
    readonly line: number;
    readonly column: number;
    readonly text: string;
  }[];
  /** Every selector that the caller satisfies; empty for questions about packets. */
  readonly selectors: readonly string[];
}

export interface PolicySource {
  readonly text: string;
  /** Names the policy in decision ids. */
  readonly revision: string;
  readonly inventory: Inventory;
}

/** One question about a caller: a model in a dialect, or an operation of the admin API. */
export type AccessQuestion =
  | {
      readonly kind: 'model';
      readonly model: string;
      readonly dialect: string;
      readonly maxOutputTokens: number | undefined;
    }
  | { readonly kind: 'operation'; readonly operation: string };

function gatewayOf(source: PolicySource): Result<GatewayAccess, string> {
  const parsed = parsePolicyText(source.text);
  if (!parsed.accepted) return err(parsed.refusal ?? 'the file cannot be read');
  const { revision, inventory } = source;
  return ok(new GatewayAccess(parsed.file, { revision, inventory, point: undefined }));
}

export function explainAccessOf(
  source: PolicySource,
  caller: Principal,
  question: AccessQuestion,
): Result<ExplainReport, string> {
  if (question.kind === 'model' && !dialectNames.some((name) => name === question.dialect)) {
    return err(`${question.dialect} is not one of ${dialectNames.join(', ')}`);
  }
  const gateway = gatewayOf(source);
  if (!gateway.ok) return gateway;
  const { index } = gateway.value;
  const access = gateway.value.accessOf(caller);
  const decision =
    question.kind === 'model'
      ? access.decideAi({ ...question, attested: false })
      : access.decideAdmin(question.operation);
  const selectors = gateway.value.selectorsOf(caller);
  const report = reportOf(index, decision.id);
  return ok({ ...report, why: [...report.why, ...hints(decision, selectors)], selectors });
}

function hints(decision: AiDecision | AdminDecision, selectors: readonly string[]): string[] {
  if (decision.allowed) return [];
  if (decision.reason === 'output_limit' && 'maxOutputTokens' in decision) {
    return [`at most ${decision.maxOutputTokens ?? 0} output tokens are allowed`];
  }
  if (decision.reason !== 'no_grant') return [];
  return selectors.length === 0
    ? ['the caller is mapped to nothing: see "identities" in the configuration']
    : [`the caller is ${selectors.join(', ')}`];
}

/** From the id in a log line back to the words of the policy. */
export function explainDecisionId(source: PolicySource, id: string): Result<ExplainReport, string> {
  const gateway = gatewayOf(source);
  return gateway.ok ? ok({ ...reportOf(gateway.value.index, id), selectors: [] }) : gateway;
}

function reportOf(index: GatewayAccess['index'], id: string): Omit<ExplainReport, 'selectors'> {
  const explained = explainDecision(index, id);
  switch (explained.kind) {
    case 'allowed': {
      const { rule } = explained.entry;
      const ref = { id: rule?.id ?? explained.at.pointer, ...place(explained.at) };
      const name = formatRuleRef(ref);
      const why = [`${name} allows it with the object at line ${explained.at.line}`];
      const at = { pointer: explained.at.pointer, ...place(explained.at) };
      return { verdict: 'allowed', why, rules: [{ ...at, text: name }] };
    }
    case 'denied':
      return { verdict: 'denied', why: [explained.text], rules: [] };
    case 'other_revision': {
      const why = `the decision was made by policy ${explained.revision}, not by this one (${index.revision})`;
      return { verdict: 'unknown', why: [why], rules: [] };
    }
    case 'unknown':
      return { verdict: 'unknown', why: ['no decision of a policy has this id'], rules: [] };
  }
}

function place({ line, column }: Position): { readonly line: number; readonly column: number } {
  return { line, column };
}

export interface PacketQuestion {
  readonly from: string;
  readonly to: string;
  /** As in the `ip` field of a grant: `443`, `tcp:22`, `icmp:*`. */
  readonly port: string;
}

/** One packet between machines, or between machines that would be. */
export function explainPacket(
  source: Omit<PolicySource, 'revision'>,
  question: PacketQuestion,
): Result<ExplainReport, string> {
  const parsed = parsePolicyText(source.text);
  if (!parsed.accepted) return err(parsed.refusal ?? 'the file cannot be read');
  const ports = parseGrantPorts(question.port);
  if (!ports.ok) return ports;
  const { protocol = 6, ports: ranges } = ports.value;
  const relation = relationOf(parsed, source.inventory);
  const packet = packetBetween(relation, question.from, question.to, {
    protocol,
    port: ranges[0]?.first ?? 0,
  });
  if (!packet.ok) return packet;
  const explained = explainAccess(relation.tailnet, packet.value);
  const ruleView = (
    { id, line, column }: { id: string; line: number; column: number },
    more: string,
  ): ExplainReport['rules'][number] => {
    const text = `${formatRuleRef({ id, line, column })}: ${more}`;
    return { pointer: id, line, column, text };
  };
  const matches = explained.matches.map(({ rule, source: by, target, opens }) =>
    ruleView(rule, `${by} to ${target}, opens ${opens}`),
  );
  const nearest = explained.nearest.map(({ rule, reasons }) => ruleView(rule, reasons.join('; ')));
  const start =
    explained.verdict === 'allowed'
      ? `the filter of ${explained.receiver ?? 'the target'} lets it in`
      : 'no rule lets it in';
  return ok({
    verdict: explained.verdict,
    why: [start, ...explained.notes],
    rules: [...matches, ...nearest],
    selectors: [],
  });
}
