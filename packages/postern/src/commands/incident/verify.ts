import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { isJsonObject, jsonValueOf } from '@postern/core/base';
import { canonicalJson } from '@postern/core/state';
import type { NoteKey } from '@postern/core/state/audit';
import { readNote, readNoteKey, verifyNote } from '@postern/core/state/audit';
import { nodeEd25519Verify, nodeSha256, readLogKey } from '@postern/server/adapters/segment-file';
import { resolveSettings } from '@postern/server/app/settings';
import type { Invocation, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown } from '../../output/table.ts';

/** Checks evidence by itself: no gateway is asked. Exit 0 where it is signed, whole and proven. */
export const run: Run = async (invocation) => {
  const { args, io } = invocation;
  const file = path.resolve(args['file'] ?? '');
  const key = await keyOf(invocation);
  if (key === undefined) {
    io.err('There is no public key of the log here. Give it with --key: postern audit key');
    return exitCodes.usage;
  }
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const note = text === undefined ? undefined : readNote(text);
  const crypto = { sha256: nodeSha256, verify: nodeEd25519Verify };
  if (note === undefined || verifyNote(note, key, crypto) === undefined) {
    io.err(
      text === undefined
        ? `${file} cannot be read.`
        : `${file} was not signed by ${key.name}, or was changed since.`,
    );
    return exitCodes.failed;
  }
  const evidence = jsonValueOf(note.text);
  if (!isJsonObject(evidence) || `${canonicalJson(evidence)}\n` !== note.text) {
    io.err(`${file} is signed, but is no evidence of an incident.`);
    return exitCodes.failed;
  }
  const { id, step, verdict } = evidence;
  if (io.json) io.outJson({ signed_by: key.name, evidence });
  else
    io.out(
      `${shown(id)}: ${shown(step)} on ${shown(evidence['ended_at'])} by ${shown(evidence['actor'])}, ${shown(verdict)}; signed by ${key.name}.`,
    );
  return verdict === 'proven' ? exitCodes.ok : exitCodes.unproven;
};

async function keyOf({ options, io }: Invocation): Promise<NoteKey | undefined> {
  const given = options['key'];
  if (typeof given === 'string') return readNoteKey(given, nodeSha256);
  return readLogKey(path.join(resolveSettings(io.flags, io.env).stateDir, 'audit'));
}
