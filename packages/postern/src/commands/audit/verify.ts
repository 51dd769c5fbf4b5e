import path from 'node:path';
import { toHex } from '@postern/core/base';
import { readNoteKey, recordTime } from '@postern/core/state/audit';
import type { FolderVerdict } from '@postern/server/adapters/segment-file';
import { nodeSha256, verifyFolder } from '@postern/server/adapters/segment-file';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { misused, openSource, refused } from './source.ts';

/** Recomputes everything: exit 0 where the log is whole, 1 where it is not. */
export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  const { dir, key } = source.value;
  const given = options['against'];
  const against =
    typeof given === 'string' ? given.split(',').map((file) => path.resolve(file)) : [];
  const names = options['witness'];
  const texts = typeof names === 'string' ? names.split(',') : [];
  const witnesses = texts.flatMap((text) => readNoteKey(text, nodeSha256) ?? []);
  if (witnesses.length < texts.length) {
    return misused(io, '--witness: public keys have the form NAME+ID+BASE64.');
  }
  const verdict = await verifyFolder(dir, { key, against, witnesses });
  const { flaw } = verdict;
  if (io.json) io.outJson(verdictJson(verdict));
  else if (flaw === undefined) io.out(sentence(dir, verdict));
  else io.err(`First bad record: ${flaw.index}. ${flaw.what}.`);
  if (verdict.strangeNotes > 0 && !io.json) {
    io.err(`${verdict.strangeNotes} notes among the checkpoints were not signed by ${key.name}.`);
  }
  const { witnessed } = verdict;
  if (witnessed !== undefined && !io.json) {
    io.err(
      witnessed === 0
        ? 'No checkpoint has the cosignatures of all these witnesses.'
        : `A checkpoint over ${witnessed} records has the cosignatures of all these witnesses.`,
    );
  }
  if (!io.json) {
    for (const file of verdict.unwitnessing)
      io.err(`${file} is missing or holds no checkpoint of ${key.name}: it proves nothing.`);
  }
  return isProven(verdict) ? exitCodes.ok : exitCodes.failed;
};

/** Whole, and seen by everybody who was named as a witness of it. */
function isProven({ flaw, witnessed, unwitnessing }: FolderVerdict): boolean {
  return flaw === undefined && witnessed !== 0 && unwitnessing.length === 0;
}

function sentence(dir: string, verdict: FolderVerdict): string {
  const { records, agreed, uncovered, tornBytes, origin } = verdict;
  const signed =
    agreed === undefined
      ? 'no checkpoint covers them yet'
      : `a checkpoint of ${recordTime(agreed.atMs)} covers ${agreed.size}${uncovered > 0 ? `, the chain alone ${uncovered} more` : ''}`;
  const torn = tornBytes === 0 ? '' : ` ${tornBytes} bytes of an unfinished record follow.`;
  return `${dir} is whole: ${records} records of ${origin}; ${signed}.${torn}`;
}

function verdictJson(verdict: FolderVerdict): Record<string, unknown> {
  const { flaw, agreed } = verdict;
  return {
    ok: isProven(verdict),
    origin: verdict.origin,
    records: verdict.records,
    ...(flaw === undefined ? {} : { first_bad: flaw.index, what: flaw.what }),
    covered: agreed?.size ?? 0,
    ...(agreed === undefined ? {} : { covered_at: recordTime(agreed.atMs) }),
    ...(agreed?.journal === undefined ? {} : { journal: agreed.journal }),
    uncovered: verdict.uncovered,
    ...(verdict.witnessed === undefined ? {} : { witnessed: verdict.witnessed }),
    torn_bytes: verdict.tornBytes,
    strange_notes: verdict.strangeNotes,
    ...(verdict.unwitnessing.length === 0 ? {} : { unwitnessing: verdict.unwitnessing }),
    root: toHex(verdict.root),
  };
}
