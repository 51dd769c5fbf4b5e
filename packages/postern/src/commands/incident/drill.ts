import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { clientFor, ControlClient } from '../../client/index.ts';
import type { ExitCode, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import type { Io } from '../../output/io.ts';
import { shown } from '../../output/table.ts';
import { drillGround } from './drill-ground.ts';
import { EvidenceSheet } from './sheet.ts';
import { tellConcluded } from './step.ts';

/** The steps, with what each is asked; `restore` is a command of its own. */
const steps: readonly (readonly [step: string, body: JsonObject])[] = [
  ['audit-access', { since: '2000-01-01T00:00:00Z' }],
  ['rotate', { classes: ['api-keys', 'preauth', 'shared-keys'] }],
  ['rotate', { classes: ['provider'], target: 'model' }],
  ['isolate', { target: 'all' }],
  ['reset-model', { target: 'model' }],
  ['revoke-jwts', {}],
  ['block-ip', { address: '127.0.0.66', for_ms: 3_600_000 }],
  ['verify-records', {}],
];

/** All steps on a gateway that is thrown away after; the running one keeps the evidence. */
export const run: Run = async ({ options, io }) => {
  const beganMs = Date.now();
  const sheet = new EvidenceSheet('drill', 'drill', beganMs, true);
  const folder = await mkdtemp(path.join(tmpdir(), 'postern-drill-'));
  const ground = await drillGround(folder);
  if (!ground.ok) {
    io.err(`The drill cannot begin: ${ground.error}`);
    return exitCodes.failed;
  }
  try {
    const client = new ControlClient(ground.value.stateDir);
    for (const [step, body] of steps) {
      // oxlint-disable-next-line no-await-in-loop -- one step after the other is the drill
      await drillStep(client, sheet, step, { ...body, token: ground.value.token });
    }
    await drillRestore(io, sheet, ground.value);
    const kept = await readdir(path.join(ground.value.stateDir, 'incidents'));
    sheet.did('keep the evidence of each step', `${kept.length} files in ${ground.value.stateDir}`);
  } finally {
    await ground.value.stop();
    if (options['keep'] !== true) await rm(folder, { recursive: true, force: true });
  }
  return conclude(io, sheet);
};

async function drillStep(
  client: ControlClient,
  sheet: EvidenceSheet,
  step: string,
  { token, ...body }: JsonObject,
): Promise<void> {
  const classes = body['classes'];
  const name = Array.isArray(classes) ? `${step} (${classes.map(shown).join(', ')})` : step;
  const done = await client.json({
    method: 'POST',
    path: '/api/v1/incidents',
    body: {
      step,
      reason: 'drill',
      ...body,
      ...(step === 'revoke-jwts' && token !== undefined ? { token } : {}),
    },
  });
  const evidence = evidenceOf(done.ok ? done.value : null);
  const words = done.ok
    ? `${shown(evidence['id'])}: ${shown(evidence['verdict'])}`
    : done.error.message;
  sheet.did(name, words, done.ok);
  const failed = proofsOf(evidence).filter(({ holds }) => holds !== true);
  const why = failed.map(({ what, after }) => `${shown(what)}: ${shown(after)}`).join('; ');
  sheet.proved(name, '', why === '' ? words : why, evidence['verdict'] === 'proven');
}

async function drillRestore(
  io: Io,
  sheet: EvidenceSheet,
  ground: { readonly folder: string; readonly stateDir: string },
): Promise<void> {
  const file = path.join(ground.folder, 'drill.db');
  const flags = { ...io, json: true, flags: { state: ground.stateDir } };
  const said: string[] = [];
  const quiet: Io = {
    ...flags,
    out: (text) => said.push(text),
    outJson: (value) => said.push(JSON.stringify(value)),
    err: (text) => said.push(text),
  };
  const { run: backup } = await import('../backup.ts');
  const saved = await backup({ args: { file }, options: {}, io: quiet });
  const { run: restore } = await import('./restore.ts');
  const into = path.join(ground.folder, 'restored');
  const code: ExitCode =
    saved === exitCodes.ok
      ? await restore({ args: { file }, options: { into, reason: 'drill' }, io: quiet })
      : saved;
  const words = code === exitCodes.ok ? 'proven' : (said.at(-1) ?? 'it failed');
  sheet.did('backup and restore', words.slice(0, 200), code === exitCodes.ok);
  sheet.proved('restore', '', words.slice(0, 200), code === exitCodes.ok);
}

/** The running gateway signs and keeps it; without one the drill still says what it found. */
async function conclude(io: Io, sheet: EvidenceSheet): Promise<ExitCode> {
  const body = sheet.evidence(Date.now());
  const path_ = '/api/v1/incidents/records';
  const concluded = await clientFor(io).json({ method: 'POST', path: path_, body });
  if (concluded.ok) return tellConcluded(io, concluded.value);
  const evidence = { ...body, verdict: sheet.isProven ? 'proven' : 'unproven' };
  const code = tellConcluded(io, { evidence, file: null, note: '' });
  io.err(`The drill is on no record: ${concluded.error.message}`);
  return code === exitCodes.ok ? concluded.error.exit : code;
}

function evidenceOf(value: JsonValue): JsonObject {
  const evidence = isJsonObject(value) ? value['evidence'] : undefined;
  return isJsonObject(evidence) ? evidence : {};
}

function proofsOf({ proofs }: JsonObject): readonly JsonObject[] {
  return Array.isArray(proofs) ? proofs.filter(isJsonObject) : [];
}
