import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { isJsonObject } from '@postern/core/base';
import { restoreLog } from '@postern/server/adapters/segment-file';
import { restoreBackup, restoreControlKey } from '@postern/server/app';
import { ControlClient } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown } from '../../output/table.ts';
import { apart } from './apart.ts';
import { EvidenceSheet } from './sheet.ts';
import { reasonOf, tellConcluded } from './step.ts';

/** Restores aside, starts a gateway on it that nobody reaches, replaces its keys, and shows all of it. */
export const run: Run = async ({ args, options, io }) => {
  const file = path.resolve(args['file'] ?? '');
  const into = options['into'];
  if (typeof into !== 'string') {
    io.err('--into: name a folder that is empty or not there.');
    return exitCodes.usage;
  }
  const dir = path.resolve(into);
  const beganMs = Date.now();
  const sheet = new EvidenceSheet('restore', reasonOf(options, 'restore'), beganMs);
  const restored = await restoreBackup({
    file,
    dir,
    actor: { principal: `local:uid:${process.geteuid?.() ?? 'unknown'}`, channel: 'system' },
    nowMs: beganMs,
  });
  if (!restored.ok) {
    io.err(restored.error.message);
    return exitCodes.failed;
  }
  const { manifest, head } = restored.value;
  sheet.did('put the backup into a new folder', `${manifest.records} records in ${dir}`);
  const key = await restoreControlKey(file, dir);
  if (key) sheet.did('put the key of the network beside it', 'machines know this server by it');
  const log = `${file}.audit`;
  if (existsSync(log)) {
    const copied = await restoreLog(log, path.join(dir, 'audit'));
    sheet.did(
      'put the log beside it',
      copied.ok ? `${copied.value.records} records` : copied.error,
      copied.ok,
    );
  } else sheet.did('put the log beside it', `there is no ${log}: a new one begins`);
  const instance = await apart(dir);
  if (!instance.ok) {
    io.err(`The gateway on the backup does not start: ${instance.error}`);
    return exitCodes.failed;
  }
  try {
    const client = new ControlClient(dir);
    const ready = await instance.value.isReady();
    const rtoMs = Date.now() - beganMs;
    sheet.proved(
      'a gateway on it is ready',
      '',
      ready ? `ready after ${rtoMs} ms` : 'not ready',
      ready,
    );
    const verified = await client.json({ method: 'POST', path: '/api/v1/verify' });
    const chain = verified.ok && isJsonObject(verified.value) ? verified.value : {};
    const isWhole = chain['intact'] === true && Number(chain['records']) >= manifest.records;
    const kept = `${shown(chain['records'])} records, ${isWhole ? 'whole' : 'not whole'}`;
    sheet.proved('its journal', `${manifest.records} records`, kept, isWhole);
    sheet.proved(
      'the chain goes on from the backup with a record of the restoration',
      `record ${manifest.headIndex}`,
      `record ${head.index}`,
      head.index > manifest.headIndex,
    );
    const rotated = await client.json({
      method: 'POST',
      path: '/api/v1/incidents',
      body: {
        step: 'rotate',
        reason: 'restored after an incident: whoever had the gateway had its keys',
        classes: ['api-keys', 'preauth', 'shared-keys'],
      },
    });
    const answer = rotated.ok && isJsonObject(rotated.value) ? rotated.value : {};
    const evidence = isJsonObject(answer['evidence']) ? answer['evidence'] : {};
    const isProven = evidence['verdict'] === 'proven';
    const words = rotated.ok
      ? `${shown(evidence['id'])}: ${shown(evidence['verdict'])}`
      : rotated.error.message;
    sheet.proved(
      'every key of the backup has a successor, and the old ones are refused',
      '',
      words,
      isProven,
    );
    sheet.next(`Stop the old gateway, then: postern up --state ${dir}`);
    const concluded = await client.json({
      method: 'POST',
      path: '/api/v1/incidents/records',
      body: sheet.evidence(Date.now()),
    });
    if (!concluded.ok) {
      io.err(concluded.error.message);
      return concluded.error.exit;
    }
    return tellConcluded(io, concluded.value);
  } finally {
    await instance.value.stop();
  }
};
