import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { checkReport } from '@postern/core/policy/report';
import type { ClientProblem } from '../client/index.ts';
import { clientFor } from '../client/index.ts';
import type { ExitCode, Invocation, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { authorityWords } from '../output/authority.ts';
import type { Io } from '../output/io.ts';
import { findingLines, planPage, versionLine } from '../output/policy.ts';
import { shown } from '../output/table.ts';
import { parseWhen } from '../output/when.ts';
import {
  jsonOf,
  objectOf,
  objectsOf,
  optionText,
  readPolicy,
  sha256Hex,
  textOf,
} from './policy-source.ts';

/** Changes of the policy of a running Postern, over its control socket. */

const policyPath = '/api/v1/policy';

type Call = Result<JsonObject, ClientProblem>;

async function post(io: Io, path: string, body?: JsonValue): Promise<Call> {
  const call = { method: 'POST', path: `${policyPath}${path}` } as const;
  const answer = await clientFor(io).json(body === undefined ? call : { ...call, body });
  return answer.ok ? ok(objectOf(answer.value)) : answer;
}

async function current(io: Io): Promise<Call> {
  const answer = await clientFor(io).json({ method: 'GET', path: policyPath });
  return answer.ok ? ok(objectOf(answer.value)) : answer;
}

interface Change {
  readonly name: string;
  readonly text: string;
  readonly base: string;
}

/** The file and the policy that it is to replace. Two reads of one moment, unless a base is given. */
async function changeOf(invocation: Invocation): Promise<Result<Change, ClientProblem>> {
  const { args, options, io } = invocation;
  const source = await readPolicy(io, args['file']);
  if (!source.ok) return source;
  const given = optionText(options, 'base');
  if (given !== undefined) return ok({ ...source.value, base: given });
  const policy = await current(io);
  return policy.ok ? ok({ ...source.value, base: shown(policy.value['base']) }) : policy;
}

/** What somebody else wrote at the engine, and which may go. */
function overOf({ options }: Invocation): JsonObject {
  const over = optionText(options, 'over');
  return over === undefined ? {} : { engine_etag: over };
}

export const plan: Run = async (invocation) => {
  const { io } = invocation;
  const change = await changeOf(invocation);
  if (!change.ok) return failed(io, change.error);
  const { name, text, base } = change.value;
  const planned = await post(io, '/plans', { text, base, ...overOf(invocation) });
  if (!planned.ok) return failed(io, planned.error);
  if (io.json) io.outJson(planned.value);
  else io.out(planPage(name, planned.value));
  if (planned.value['verdict'] !== 'refused') return exitCodes.ok;
  const isInvalid = objectsOf(planned.value['findings']).some(
    ({ severity, code }) => severity === 'refuse' && (code === 'invalid' || code === 'fail_open'),
  );
  return isInvalid ? exitCodes.config : exitCodes.failed;
};

export const approve: Run = async ({ args, io }) => {
  const id = encodeURIComponent(args['plan'] ?? '');
  const approved = await post(io, `/plans/${id}/approve`);
  if (!approved.ok) return failed(io, approved.error);
  const { value } = approved;
  if (io.json) io.outJson(value);
  else {
    const summary = Array.isArray(value['summary']) ? value['summary'] : [];
    io.out(
      [
        `${shown(value['id'])} is approved (risk ${shown(value['risk'])}):`,
        ...summary.map((each: JsonValue) => `  ${shown(each)}`),
        `Next: postern policy apply --plan ${shown(value['id'])}`,
      ].join('\n'),
    );
  }
  return exitCodes.ok;
};

const trialMsDefault = 300_000;

export const apply: Run = async (invocation) => {
  const { options, io } = invocation;
  const trialMs = trialOf(optionText(options, 'confirm'));
  if (!trialMs.ok) {
    io.err(`--confirm: ${trialMs.error}`);
    return exitCodes.usage;
  }
  const body = await applyBody(invocation);
  if (!body.ok) return failed(io, body.error);
  const note = optionText(options, 'note');
  const applied = await post(io, '/apply', {
    ...body.value,
    confirm_within_s: Math.ceil(trialMs.value / 1_000),
    ...(note === undefined ? {} : { note }),
  });
  if (!applied.ok) return failed(io, applied.error);
  if (io.json) io.outJson(applied.value);
  else io.out(appliedLines(applied.value));
  return exitCodes.ok;
};

function appliedLines(applied: JsonObject): string {
  const there = textOf(objectOf(applied['engine'] ?? {})['problem']);
  const more = there === undefined ? '' : `\n${there}`;
  if (applied['unchanged'] === true) return `This policy is in force already.${more}`;
  const line = `In force: version ${versionLine(objectOf(applied['version']))}`;
  const until = textOf(applied['trial_until']);
  return until === undefined
    ? `${line}${more}`
    : `${line}${more}\nOn trial until ${until}. Try what matters over new connections, then: postern policy confirm`;
}

async function applyBody(invocation: Invocation): Promise<Result<JsonObject, ClientProblem>> {
  const { args, options } = invocation;
  const id = optionText(options, 'plan');
  if (id !== undefined) {
    if (args['file'] === undefined && options['base'] === undefined)
      return ok({ plan: id, ...overOf(invocation) });
    return err({ exit: exitCodes.usage, message: 'Give a plan or a file, not both.' });
  }
  const change = await changeOf(invocation);
  if (!change.ok) return change;
  const { name, text, base } = change.value;
  const report = checkReport({ text, inventory: { users: [], nodes: [] }, sha256Hex });
  if (report.valid) return ok({ text, base, ...overOf(invocation) });
  const errors = report.findings.filter(({ severity }) => severity === 'error');
  const message = findingLines(name, jsonOf({ errors })['errors']).join('\n');
  return err({ exit: exitCodes.config, message });
}

function trialOf(text: string | undefined): Result<number, string> {
  if (text === undefined) return ok(trialMsDefault);
  return text === '0' ? ok(0) : parseWhen(text, 0);
}

export const confirm: Run = async ({ io }) => {
  const policy = await current(io);
  if (!policy.ok) return failed(io, policy.error);
  if (policy.value['trial_until'] === null) {
    io.err('No policy is on trial.');
    return exitCodes.failed;
  }
  const done = await post(io, '/confirm', { digest: shown(policy.value['base']) });
  if (!done.ok) return failed(io, done.error);
  if (io.json) io.outJson(done.value);
  else io.out(`Confirmed: version ${versionLine(done.value)}`);
  return exitCodes.ok;
};

export const rollback: Run = async ({ options, io }) => {
  const policy = await current(io);
  if (!policy.ok) return failed(io, policy.error);
  const expected = optionText(options, 'expected') ?? shown(policy.value['base']);
  if (policy.value['version'] === null) {
    io.err(`Nobody applied a policy yet: decided by ${authorityWords(policy.value['authority'])}.`);
    return exitCodes.failed;
  }
  const reason = optionText(options, 'reason');
  const done = await post(io, '/rollback', {
    expected,
    ...(reason === undefined ? {} : { reason }),
  });
  if (!done.ok) return failed(io, done.error);
  const { version, authority } = done.value;
  if (io.json) io.outJson(done.value);
  else
    io.out(
      version === null
        ? `The applied policy is taken back: decided by ${authorityWords(authority)}.`
        : `In force again: version ${versionLine(objectOf(version))}`,
    );
  return exitCodes.ok;
};

function failed(io: Io, { exit, message }: ClientProblem): ExitCode {
  io.err(message);
  return exit;
}
