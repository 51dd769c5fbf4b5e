import { writeFile } from 'node:fs/promises';
import { ok } from '@postern/core/base';
import { format } from '@postern/core/base/hujson';
import type { EngineName, Inventory } from '@postern/core/policy';
import { engineNames } from '@postern/core/policy';
import type { KnownNames } from '@postern/core/policy/report';
import { checkReport, diffReport } from '@postern/core/policy/report';
import { resolveSettings } from '@postern/server/app/settings';
import { clientFor } from '../client/index.ts';
import type { ExitCode, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import type { Io } from '../output/io.ts';
import { changeTable, findingLines, testTable } from '../output/policy.ts';
import type { PolicyText } from './policy-source.ts';
import { jsonOf, objectOf, optionText, readPolicy, sha256Hex } from './policy-source.ts';

/** Commands on policy files. They need no running Postern, so that they run in CI. */

/** A file says nothing about who and what is on a network. */
const nobody: Inventory = { users: [], nodes: [] };

interface CheckWith {
  readonly engine?: EngineName | undefined;
  readonly names?: KnownNames | undefined;
}

function report({ text }: PolicyText, { engine, names }: CheckWith = {}) {
  return checkReport({ text, inventory: nobody, engine, names, sha256Hex });
}

/** Limits and budgets of the configuration; undefined where there is none, or where it cannot be read. */
async function configuredNames(io: Io): Promise<KnownNames | undefined> {
  const { configFile } = resolveSettings(io.flags, io.env);
  if (configFile === undefined) return undefined;
  // The schemas are loaded only where there is a file to hold against them.
  const { describeProblem, loadConfigFile, namesOf } = await import('@postern/server/app');
  const loaded = await loadConfigFile(configFile);
  if (loaded.ok) return namesOf(loaded.value.config);
  for (const problem of loaded.error) io.err(describeProblem(problem));
  io.err('The names of limits and budgets are not looked up: the configuration is invalid.');
  return undefined;
}

function exitOf({ valid, tests_passed }: ReturnType<typeof report>): ExitCode {
  if (!valid) return exitCodes.config;
  return tests_passed ? exitCodes.ok : exitCodes.failed;
}

export const check: Run = async ({ args, options, io }) => {
  const named = optionText(options, 'for');
  const engine = engineNames.find((name) => name === named);
  if (named !== undefined && engine === undefined) {
    io.err(`--for: "${named}" is not one of ${engineNames.join(', ')}.`);
    return exitCodes.usage;
  }
  const source = await readPolicy(io, args['file']);
  if (!source.ok) return failed(io, source.error);
  const checked = report(source.value, { engine, names: await configuredNames(io) });
  if (io.json) io.outJson(checked);
  else {
    const { name } = source.value;
    const lines = findingLines(name, jsonOf(checked)['findings']);
    io.out([...lines, `${name}: ${summary(checked)}`].join('\n'));
  }
  return exitOf(checked);
};

function summary(checked: ReturnType<typeof report>): string {
  const { valid, tests, digest } = checked;
  if (!valid) return 'invalid';
  const failures = tests.filter(({ passed }) => !passed).length;
  const results =
    tests.length === 0 ? 'no tests' : `${tests.length - failures} of ${tests.length} tests hold`;
  return `valid, ${results}, digest ${digest}`;
}

export const test: Run = async ({ args, io }) => {
  const source = await readPolicy(io, args['file']);
  if (!source.ok) return failed(io, source.error);
  const { name } = source.value;
  const checked = report(source.value);
  const { tests, valid } = checked;
  const errors = jsonOf({ list: checked.findings.filter(({ severity }) => severity === 'error') });
  if (io.json) io.outJson({ valid, passed: checked.tests_passed, tests });
  else if (!valid) io.out(findingLines(name, errors['list']).join('\n'));
  else if (tests.length === 0) io.out(`${name} has no tests.`);
  else io.out(testTable(name, jsonOf(checked)['tests']));
  return exitOf(checked);
};

export const fmt: Run = async ({ args, options, io }) => {
  const source = await readPolicy(io, args['file']);
  if (!source.ok) return failed(io, source.error);
  const { name, text } = source.value;
  const formatted = format(text);
  if (!formatted.ok) {
    const { line, column, message } = formatted.error;
    return failed(io, {
      exit: exitCodes.config,
      message: `${name}:${line}:${column}: error: ${message}`,
    });
  }
  const canonical = new TextDecoder().decode(formatted.value);
  const isSame = canonical === text;
  if (options['check'] === true) {
    if (io.json) io.outJson({ formatted: isSame });
    else if (!isSame) io.err(`${name} is not in canonical layout: postern policy fmt --write`);
    return isSame ? exitCodes.ok : exitCodes.failed;
  }
  if (options['write'] !== true) {
    if (io.json) io.outJson({ formatted: isSame, text: canonical });
    else io.out(canonical.replace(/\n$/, ''));
    return exitCodes.ok;
  }
  if (args['file'] === '-') {
    io.err('--write needs a file.');
    return exitCodes.usage;
  }
  if (!isSame) await writeFile(name, canonical);
  if (io.json) io.outJson({ formatted: true, changed: !isSame });
  else io.err(isSame ? `${name} is in canonical layout.` : `${name} is written.`);
  return exitCodes.ok;
};

export const diff: Run = async ({ args, options, io }) => {
  const after = await readPolicy(io, args['file']);
  if (!after.ok) return failed(io, after.error);
  const { name, text } = after.value;
  const beforeFile = optionText(options, 'before');
  const before = beforeFile === undefined ? undefined : await readPolicy(io, beforeFile);
  if (before?.ok === false) return failed(io, before.error);
  const answer =
    before === undefined
      ? await clientFor(io).json({ method: 'POST', path: '/api/v1/policy/diff', body: { text } })
      : ok(jsonOf(diffReport(before.value.text, text, nobody)));
  if (!answer.ok) return failed(io, answer.error);
  const found = objectOf(answer.value);
  const errors = findingLines(name, found['errors']);
  if (io.json) io.outJson(found);
  else if (errors.length > 0) io.out(errors.join('\n'));
  else {
    const cut =
      found['complete'] === true
        ? ''
        : '\nThe files are too large to compare whole: changes may be missing.';
    io.out(`${changeTable(found['changes'])}${cut}`);
  }
  if (errors.length > 0) return exitCodes.config;
  const isChanged = found['equivalent'] !== true;
  return isChanged && options['exitCode'] === true ? exitCodes.failed : exitCodes.ok;
};

function failed(io: Io, { exit, message }: { exit: ExitCode; message: string }): ExitCode {
  if (io.json && exit === exitCodes.config) io.outJson({ valid: false, problems: [message] });
  else io.err(message);
  return exit;
}
