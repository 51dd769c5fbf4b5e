import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { OperationName } from '../control/api/index.ts';
import { plainDocument, plainValue } from './text.ts';
import type { ToolContext } from './tool.ts';
import { jsonOf } from './tool.ts';

/** A document that a client reads by its URI; undefined: there is none for this caller. */
export interface Document {
  readonly uri: string;
  readonly mimeType: string;
  readonly text: string;
}

export interface ResourceDescription {
  readonly uri: string;
  readonly name: string;
  readonly title: string;
  readonly mimeType: string;
}

export interface TemplateDescription {
  readonly uriTemplate: string;
  readonly name: string;
  readonly title: string;
  readonly mimeType: string;
}

const policyType = 'application/hujson';
const jsonType = 'application/json';

export const resources: readonly ResourceDescription[] = [
  {
    uri: 'policy://current',
    name: 'policy',
    title: 'The policy in force',
    mimeType: policyType,
  },
];

export const templates: readonly TemplateDescription[] = [
  {
    uriTemplate: 'policy://plans/{id}',
    name: 'policy-plan',
    title: 'A plan of yours',
    mimeType: jsonType,
  },
  { uriTemplate: 'device://{id}', name: 'device', title: 'A machine', mimeType: jsonType },
];

/** Each resource with the operations that its reader may use. */
const needed: Readonly<Record<'policy' | 'plan' | 'device', readonly OperationName[]>> = {
  policy: ['policy.show'],
  plan: ['policy.show', 'policy.plan'],
  device: ['node.show'],
};

/** Whole URIs and nothing that could be read in two ways: no encoding, no dots, no host, no query. */
const uris = [
  ['policy', /^policy:\/\/(current)$/],
  ['plan', /^policy:\/\/plans\/(plan_[0-9a-z]{1,40})$/],
  ['device', /^device:\/\/([A-Za-z0-9]{1,64})$/],
] as const;

/** Reads a resource. What there is not, and what is not for this caller, are the same. */
export async function readDocument(
  context: ToolContext,
  uri: string,
): Promise<Result<Document, Refusal>> {
  for (const [kind, pattern] of uris) {
    const id = pattern.exec(uri)?.[1];
    if (id === undefined) continue;
    if (!needed[kind].every((name) => context.may(name))) break;
    return kind === 'policy'
      ? readPolicy(context, uri)
      : kind === 'plan'
        ? readPlan(context, uri, id)
        : readDevice(context, uri, id);
  }
  return refuse('not_found', 'There is no such resource.');
}

async function readPolicy(context: ToolContext, uri: string): Promise<Result<Document, Refusal>> {
  const shown = await context.perform('policy.show');
  if (!shown.ok) return shown;
  const { text } = jsonOf(shown.value);
  return ok({
    uri,
    mimeType: policyType,
    text: plainDocument(typeof text === 'string' ? text : ''),
  });
}

function readPlan(context: ToolContext, uri: string, id: string): Result<Document, Refusal> {
  const found = context.plan(id);
  if (!found.ok) return found;
  const { digest, base, risk, summary, expiresAtMs, approval, text } = found.value;
  const plan = plainValue({
    id,
    digest,
    base,
    risk,
    summary: [...summary],
    expires_at: new Date(expiresAtMs).toISOString(),
    approved_by: approval?.by ?? null,
    text,
  });
  return ok({ uri, mimeType: jsonType, text: JSON.stringify(plan) });
}

async function readDevice(
  context: ToolContext,
  uri: string,
  id: string,
): Promise<Result<Document, Refusal>> {
  const shown = await context.perform('node.show', { params: { node: id } });
  if (!shown.ok) return shown;
  const { node_key: _, machine_key: __, ...device } = jsonOf(shown.value);
  return ok({ uri, mimeType: jsonType, text: JSON.stringify(plainValue(device)) });
}
