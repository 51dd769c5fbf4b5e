import { readFile } from 'node:fs/promises';
import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, ok } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { ExitCode, Invocation, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import type { Io } from '../../output/io.ts';
import { shown } from '../../output/table.ts';
import { spanMs } from '../../output/when.ts';

/** A command that carries one step out on the running gateway. Exit 0 only where it proved itself. */
export function stepCommand(step: string): Run {
  return async (invocation) => {
    const { io } = invocation;
    const request = await requestOf(step, invocation);
    if (!request.ok) {
      io.err(request.error);
      return exitCodes.usage;
    }
    const done = await clientFor(io).json({
      method: 'POST',
      path: '/api/v1/incidents',
      body: request.value,
    });
    if (!done.ok) {
      io.err(done.error.message);
      return done.error.exit;
    }
    return tellConcluded(io, done.value);
  };
}

/** What was done, what shows it, what is left; the evidence itself under `--json`. */
export function tellConcluded(io: Io, value: JsonValue): ExitCode {
  const concluded = isJsonObject(value) ? value : {};
  const evidence = isJsonObject(concluded['evidence']) ? concluded['evidence'] : {};
  const verdict = evidence['verdict'];
  if (io.json) io.outJson(concluded);
  else {
    for (const act of objects(evidence['acts']))
      io.out(`${shown(act['outcome']).padEnd(8)} ${shown(act['what'])}${detail(act)}`);
    for (const line of texts(evidence['report'])) io.out(`  ${line}`);
    for (const proof of objects(evidence['proofs'])) {
      const mark = proof['holds'] === true ? 'proven' : 'NOT PROVEN';
      const before = shown(proof['before']);
      const change = before === '' ? shown(proof['after']) : `${before} → ${shown(proof['after'])}`;
      io.out(`${mark.padEnd(10)} ${shown(proof['what'])}: ${change}`);
    }
    for (const line of texts(evidence['follow_up'])) io.out(`next:      ${line}`);
    const { file } = concluded;
    io.out(
      `${shown(evidence['id'])}: ${shown(verdict)}${typeof file === 'string' ? `; evidence in ${file}` : ''}`,
    );
  }
  if (verdict === 'unproven') {
    io.err('Its effect could not be shown. Look at the lines above; the step can be run again.');
    return exitCodes.unproven;
  }
  return exitCodes.ok;
}

function detail(act: JsonObject): string {
  const text = shown(act['detail']);
  return text === '' ? '' : `: ${text}`;
}

function objects(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function texts(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.map(shown) : [];
}

const passedOn = {
  resume: 'resume',
  target: 'target',
  issuer: 'issuer',
  address: 'address',
} as const;

async function requestOf(
  step: string,
  { options, io }: Invocation,
): Promise<Result<JsonObject, string>> {
  const body: Record<string, JsonValue> = { step, reason: reasonOf(options, step) };
  for (const [option, field] of Object.entries(passedOn)) {
    const value = options[option];
    if (typeof value === 'string') body[field] = value;
  }
  if (options['dryRun'] === true) body['dry_run'] = true;
  if (options['force'] === true) body['force'] = true;
  const { scope, replica, for: life, since, tokenFile } = options;
  if (typeof scope === 'string') body['classes'] = scope.split(',');
  if (typeof replica === 'string') body['replicas'] = replica.split(',');
  if (typeof life === 'string') {
    const ms = spanMs(life);
    if (ms === undefined) return err('--for: a span such as 1h or 30d.');
    body['for_ms'] = ms;
  }
  if (step === 'audit-access') {
    const ms = spanMs(typeof since === 'string' ? since : '24h');
    if (ms === undefined) return err('--since: a span such as 24h or 7d.');
    body['since'] = new Date(Date.now() - ms).toISOString();
  }
  if (typeof tokenFile === 'string') {
    const text = await readFile(tokenFile, 'utf8').catch(() => undefined);
    if (text === undefined) return err(`--token-file: ${tokenFile} cannot be read.`);
    body['token'] = text.trim();
  }
  // Whoever is logged in by SSH should not shut the door on themselves.
  const from = /^\S+/.exec(io.env['SSH_CONNECTION'] ?? '')?.[0];
  if (step === 'block-ip' && from !== undefined) body['own_address'] = from;
  return ok(body);
}

export function reasonOf(options: Invocation['options'], step: string): string {
  const given = options['reason'];
  return typeof given === 'string' && given !== '' ? given : `postern incident ${step}`;
}
