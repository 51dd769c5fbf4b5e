import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Principal } from '@postern/core/identity';
import type { EngineName } from '@postern/core/policy';
import type {
  CheckReport,
  DiffReport,
  ExplainReport,
  ReachReport,
} from '@postern/core/policy/report';
import { currentPolicy, findKey } from '@postern/core/state';
import type { PolicyTools } from './policy-control.ts';

/** Questions about a policy: the one in force, or a text. Nothing is changed by asking. */

/** The start of the digest: what decision ids and people call a policy. */
export function revisionOf(digest: string): string {
  return digest.slice(0, 12);
}

export async function checkPolicyText(
  { control, ports }: PolicyTools,
  text: string,
  engine: EngineName | undefined,
): Promise<CheckReport> {
  const { checkReport } = await import('@postern/core/policy/report');
  const { sha256OfBytes } = await import('./assess.ts');
  const sha256Hex = sha256OfBytes(control.system.sha256Hex);
  const [inventory, names] = [ports.inventory(), ports.names()];
  return checkReport({ text, inventory, engine, names, sha256Hex });
}

export async function diffPolicy(
  { control, ports }: PolicyTools,
  { text, before }: { readonly text: string; readonly before?: string | undefined },
): Promise<DiffReport> {
  const { diffReport } = await import('@postern/core/policy/report');
  const { emptyPolicyText } = await import('./assess.ts');
  const inForce = currentPolicy(control.snapshot().policy) ?? ports.builtIn();
  const current = before ?? inForce?.text ?? emptyPolicyText;
  return diffReport(current, text, ports.inventory());
}

export async function reachOfPolicy(
  tools: PolicyTools,
  question: {
    readonly text?: string | undefined;
    readonly from?: string | undefined;
    readonly to?: string | undefined;
  },
): Promise<Result<ReachReport, Refusal>> {
  const source = await sourceOf(tools, question.text);
  if (!source.ok) return source;
  const { reachReport } = await import('@postern/core/policy/report');
  return answered(reachReport(source.value.text, tools.ports.inventory(), question));
}

export type PolicyQuestion =
  | { readonly kind: 'decision'; readonly id: string }
  | { readonly kind: 'packet'; readonly from: string; readonly to: string; readonly port: string }
  | {
      readonly kind: 'model';
      readonly who: Asked;
      readonly model: string;
      readonly dialect: string;
      readonly maxOutputTokens: number | undefined;
    }
  | { readonly kind: 'operation'; readonly who: Asked; readonly operation: string };

/** About whom: selectors, or a key by name or id. */
export interface Asked {
  readonly selectors: readonly string[];
  readonly key: string | undefined;
}

export async function explainPolicy(
  tools: PolicyTools,
  question: PolicyQuestion,
  text: string | undefined,
): Promise<Result<ExplainReport, Refusal>> {
  const source = await sourceOf(tools, text);
  if (!source.ok) return source;
  const report = await import('@postern/core/policy/report');
  switch (question.kind) {
    case 'decision':
      return answered(report.explainDecisionId(source.value, question.id));
    case 'packet':
      return answered(report.explainPacket(source.value, question));
    case 'model':
    case 'operation': {
      const who = principalOf(tools, question.who);
      return who.ok ? answered(report.explainAccessOf(source.value, who.value, question)) : who;
    }
  }
}

function principalOf(
  { control, ports }: PolicyTools,
  { selectors, key: name }: Asked,
): Result<Principal, Refusal> {
  if (name === undefined) {
    return ok({ authority: 'tailnet', id: 'asked', kind: 'user', display: 'asked', selectors });
  }
  const key = findKey(control.snapshot(), name);
  if (key === undefined) return refuse('not_found', `There is no key ${name}.`, { param: 'key' });
  return ok(ports.principalOfKey(key));
}

interface Source {
  readonly text: string;
  readonly revision: string;
  readonly inventory: ReturnType<PolicyTools['ports']['inventory']>;
}

async function sourceOf(
  { control, ports }: PolicyTools,
  text: string | undefined,
): Promise<Result<Source, Refusal>> {
  const inventory = ports.inventory();
  if (text !== undefined) {
    const { policyHash } = await import('@postern/core/policy/change');
    const { sha256OfBytes } = await import('./assess.ts');
    const digest = policyHash(text, { sha256Hex: sha256OfBytes(control.system.sha256Hex) });
    return ok({ text, revision: revisionOf(digest), inventory });
  }
  const version = currentPolicy(control.snapshot().policy);
  if (version !== undefined) {
    return ok({ text: version.text, revision: revisionOf(version.digest), inventory });
  }
  const builtIn = ports.builtIn();
  if (builtIn !== undefined) return ok({ ...builtIn, inventory });
  return refuse(
    'not_found',
    'No policy is in force here, and so nobody may call anything: write policy.hujson and put it in force with `postern policy apply`. Give the text of one to ask about it.',
  );
}

/** What cannot be answered is the question's fault: a name that means nothing, a file with an error. */
function answered<T>(result: Result<T, string>): Result<T, Refusal> {
  return result.ok ? result : refuse('invalid_request', sentence(result.error));
}

/** What follows is what to do about it. */
function sentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
