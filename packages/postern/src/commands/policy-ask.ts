import type { JsonValue, Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { ClientProblem } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { authorityWords } from '../output/authority.ts';
import type { Io } from '../output/io.ts';
import { explanation, policyPage, reachTable } from '../output/policy.ts';
import { jsonOf, listOf, objectOf, optionText, readPolicy, textOf } from './policy-source.ts';

/** Questions about the policy in force, or about a file without a running Postern. */

type Options = Readonly<Record<string, string | boolean | undefined>>;

export const show: Run = async ({ options, io }) => {
  const answer = await clientFor(io).json({ method: 'GET', path: '/api/v1/policy' });
  if (!answer.ok) {
    io.err(answer.error.message);
    return answer.error.exit;
  }
  const policy = objectOf(answer.value);
  if (options['text'] === true) {
    const text = textOf(policy['text']);
    if (text === undefined) {
      io.err(`Nobody applied a policy yet: decided by ${authorityWords(policy['authority'])}.`);
      return exitCodes.failed;
    }
    if (io.json) io.outJson({ text });
    else io.out(text.replace(/\n$/, ''));
  } else if (io.json) io.outJson(policy);
  else io.out(policyPage(policy));
  return exitCodes.ok;
};

export const explain: Run = async ({ options, io }) => {
  const file = optionText(options, 'file');
  const answer =
    file === undefined ? await askExplain(io, options) : await explainFile(io, options, file);
  if (!answer.ok) {
    io.err(answer.error.message);
    return answer.error.exit;
  }
  const found = objectOf(answer.value);
  if (io.json) io.outJson(found);
  else io.out(explanation(file ?? 'policy.hujson', found));
  return found['verdict'] === 'allowed' ? exitCodes.ok : exitCodes.failed;
};

function askExplain(io: Io, options: Options): Promise<Result<JsonValue, ClientProblem>> {
  const names = ['key', 'model', 'dialect', 'operation', 'from', 'to', 'port', 'decision'];
  const body: Record<string, JsonValue> = { who: listOf(optionText(options, 'who')) };
  for (const name of names) {
    const value = optionText(options, name);
    if (value !== undefined) body[name] = value;
  }
  const tokens = optionText(options, 'maxTokens');
  if (tokens !== undefined) body['max_output_tokens'] = Number(tokens);
  return clientFor(io).json({ method: 'POST', path: '/api/v1/policy/explain', body });
}

async function explainFile(
  io: Io,
  options: Options,
  file: string,
): Promise<Result<JsonValue, ClientProblem>> {
  const read = await readPolicy(io, file);
  if (!read.ok) return read;
  const report = await import('@postern/core/policy/report');
  const source = { text: read.value.text, revision: 'file', inventory: { users: [], nodes: [] } };
  const from = optionText(options, 'from');
  const to = optionText(options, 'to');
  const port = optionText(options, 'port') ?? '443';
  if (from !== undefined && to !== undefined) {
    return answered(report.explainPacket(source, { from, to, port }));
  }
  const model = optionText(options, 'model');
  const operation = optionText(options, 'operation');
  const selectors = listOf(optionText(options, 'who'));
  const caller = {
    authority: 'tailnet',
    id: 'asked',
    kind: 'user',
    display: 'asked',
    selectors,
  } as const;
  if (model !== undefined) {
    const tokens = optionText(options, 'maxTokens');
    const maxOutputTokens = tokens === undefined ? undefined : Number(tokens);
    const dialect = optionText(options, 'dialect') ?? 'openai-chat';
    const question = { kind: 'model', model, dialect, maxOutputTokens } as const;
    return answered(report.explainAccessOf(source, caller, question));
  }
  if (operation !== undefined) {
    return answered(report.explainAccessOf(source, caller, { kind: 'operation', operation }));
  }
  const message =
    'About a file, ask with --from and --to, or with --who and --model or --operation.';
  return err({ exit: exitCodes.usage, message });
}

export const reach: Run = async ({ options, io }) => {
  const [from, to] = [optionText(options, 'from'), optionText(options, 'to')];
  const question = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
  const file = optionText(options, 'file');
  const answer =
    file === undefined
      ? await clientFor(io).json({ method: 'POST', path: '/api/v1/policy/reach', body: question })
      : await reachFile(io, file, question);
  if (!answer.ok) {
    io.err(answer.error.message);
    return answer.error.exit;
  }
  const found = objectOf(answer.value);
  if (io.json) io.outJson(found);
  else io.out(reachTable(found['rows']));
  if (found['complete'] !== true) io.err('The list is cut: ask with --from or --to.');
  return exitCodes.ok;
};

async function reachFile(
  io: Io,
  file: string,
  question: { from?: string; to?: string },
): Promise<Result<JsonValue, ClientProblem>> {
  const read = await readPolicy(io, file);
  if (!read.ok) return read;
  const { reachReport } = await import('@postern/core/policy/report');
  return answered(reachReport(read.value.text, { users: [], nodes: [] }, question));
}

function answered(result: Result<unknown, string>): Result<JsonValue, ClientProblem> {
  return result.ok
    ? ok(jsonOf(result.value))
    : err({ exit: exitCodes.config, message: `${result.error}.` });
}
