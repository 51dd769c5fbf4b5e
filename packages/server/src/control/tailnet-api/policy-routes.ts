import type { Result } from '@postern/core/base';
import { isJsonObject, ok } from '@postern/core/base';
import { parseDocument } from '@postern/core/base/hujson';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { noPolicy } from '@postern/core/state';
import type { EnginePolicy } from '../engine/index.ts';
import { allowed } from './access.ts';
import { notHere } from './body.ts';
import type { ApiAnswer, ApiCall, ApiResult } from './ports.ts';

/** What `If-Match` and ETag say where no policy is in force yet. */
const untouched = 'ts-default';
/** No policy is "nobody": as a file, no grants. */
const nobody = '{"grants": []}\n';
const hujson = 'application/hujson';

/** `/tailnet/-/acl`, with `validate` and `preview`. */
export async function acl(call: ApiCall): ApiResult {
  const [, what] = call.path;
  const isRead = call.method === 'GET' || what !== undefined;
  const may = allowed(call, isRead ? 'policy_file:read' : 'policy_file');
  if (!may.ok) return may;
  if (what === 'validate' && call.method === 'POST') return validate(call);
  if (what === 'preview' && call.method === 'POST') return preview(call);
  if (what !== undefined) return notHere(call);
  if (call.method === 'GET') {
    const policy = await call.engine.getPolicy();
    return policy.ok ? show(call, policy.value) : policy;
  }
  return call.method === 'POST' ? set(call) : notHere(call);
}

function show(call: ApiCall, { text, etag }: EnginePolicy): Result<ApiAnswer, Refusal> {
  const headers = { etag: `"${etag === noPolicy ? untouched : etag}"` };
  const written = text === '' ? nobody : text;
  if (call.query.get('details') === '1') {
    const encoded = Buffer.from(written).toString('base64');
    return ok({ headers, json: { acl: encoded, warnings: [], errors: [] } });
  }
  if ((call.headers.get('accept') ?? '').includes('json') && !wantsHujson(call)) {
    const parsed = parseDocument(written);
    return ok({ headers, json: parsed.ok ? parsed.value.plain.value : {} });
  }
  return ok({ headers, hujson: written });
}

function wantsHujson({ headers }: ApiCall): boolean {
  return (headers.get('accept') ?? '').includes(hujson);
}

async function set(call: ApiCall): ApiResult {
  const given = (call.headers.get('if-match') ?? '').replace(/^W\//, '').replaceAll('"', '');
  let base = given === untouched ? noPolicy : given;
  if (given === '' || given === '*') {
    const before = await call.engine.getPolicy();
    if (!before.ok) return before;
    base = before.value.etag;
  }
  const written = await call.engine.setPolicy(call.text, base);
  return written.ok ? show(call, written.value) : written;
}

/** A list: those tests against the policy in force. An object: a new policy with its own. */
async function validate(call: ApiCall): ApiResult {
  const parsed = parseDocument(call.text);
  const value = parsed.ok ? parsed.value.plain.value : undefined;
  let { text } = call;
  if (Array.isArray(value)) {
    const policy = await call.engine.getPolicy();
    if (!policy.ok) return policy;
    const inForce = parseDocument(policy.value.text === '' ? nobody : policy.value.text);
    const plain = inForce.ok ? inForce.value.plain.value : undefined;
    if (!isJsonObject(plain ?? null)) {
      return refuse('invalid_request', 'The policy in force is no object.');
    }
    text = JSON.stringify({ ...(isJsonObject(plain ?? null) ? Object(plain) : {}), tests: value });
  }
  const problems = await call.engine.checkPolicy(text);
  if (!problems.ok) return problems;
  const [first] = problems.value;
  if (first === undefined) return ok({ json: {} });
  // 200 all the same: the message is the refusal.
  return ok({ json: { message: first, data: [{ user: '', errors: problems.value }] } });
}

async function preview(call: ApiCall): ApiResult {
  const type = call.query.get('type');
  const previewFor = call.query.get('previewFor') ?? '';
  if (type !== 'user' && type !== 'ipport') {
    return refuse('invalid_request', 'type: user or ipport', { param: 'type' });
  }
  const found = await call.engine.previewPolicy({ text: call.text, type, for: previewFor });
  if (!found.ok) return found;
  const matches = found.value.map(({ line, ...match }) => ({ ...match, lineNumber: line }));
  return ok({ json: { matches, type, previewFor } });
}
