import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Checkpoint, PlacedRecord } from '@postern/core/state/audit';
import { recordTime } from '@postern/core/state/audit';
import type { FolderVerdict } from '../adapters/segment-file/index.ts';
import {
  checkedCheckpoint,
  checkpointNames,
  verifyFolder,
} from '../adapters/segment-file/index.ts';
import type { AuditFilter, AuditTools } from '../control/api/index.ts';
import type { Store } from '../control/store.ts';
import type { AuditTrail } from './audit.ts';

/** Records that one page looks at: a fifth of a second of the event loop, in pieces of some milliseconds. */
const pageRecordsMax = 50_000;
/** A longer log takes seconds of the gateway's own thread: the command line verifies it beside the gateway. */
const verifiedRecordsMax = 200_000;

export interface AuditToolsOptions {
  readonly trail: Pick<AuditTrail, 'log' | 'folder' | 'checkpoint'>;
  readonly dir: string;
  /** The journal, whose head checkpoints name. */
  readonly store: Pick<Store, 'readAfter'>;
}

/** The audit log as the admin API asks it: bounded, a page at a time, only what is durable. */
export function auditTools({ trail, dir, store }: AuditToolsOptions): AuditTools {
  const { log, folder } = trail;
  let verifying: Promise<Result<FolderVerdict, Refusal>> | undefined;
  const verify = async (): Promise<Result<FolderVerdict, Refusal>> => {
    if (log.durableIndex > verifiedRecordsMax) {
      const message = `The log has more than ${verifiedRecordsMax} records: \`postern audit verify\` reads it without holding the gateway up.`;
      return err(refusal('invalid_request', message));
    }
    return ok(await verifyFolder(dir, { key: folder.key }));
  };
  return {
    tail: async (count) => {
      const to = log.durableIndex;
      const items = [];
      for await (const record of log.read(Math.max(1, to - count + 1), to))
        items.push(view(record));
      return ok({ items });
    },
    query: async (filter) => {
      const to = log.durableIndex;
      const end = Math.min(to, filter.after + pageRecordsMax);
      const fits = matcher(filter);
      const items = [];
      let seen = filter.after;
      for await (const record of log.read(filter.after + 1, end)) {
        seen = record.index;
        if (fits(record)) items.push(view(record));
        if (items.length >= filter.limit) break;
      }
      return ok({ items, ...(seen < to && seen > filter.after ? { next: seen } : {}) });
    },
    verify: async () => {
      verifying ??= verify().finally(() => {
        verifying = undefined;
      });
      const verdict = await verifying;
      if (!verdict.ok) return verdict;
      const { flaw, agreed, origin, records } = verdict.value;
      const journal = await journalOf(agreed, store);
      return ok({
        ok: flaw === undefined && journal?.agrees !== false,
        origin,
        records,
        ...(flaw === undefined ? {} : { first_bad: flaw.index, what: flaw.what }),
        covered: agreed?.size ?? 0,
        ...(agreed === undefined ? {} : { covered_at: recordTime(agreed.atMs) }),
        ...(journal === undefined ? {} : { journal }),
      });
    },
    checkpoint: async () => {
      await trail.checkpoint();
      const note = await readFile(path.join(dir, checkpointNames.newest), 'utf8').catch(() => '');
      const made = checkedCheckpoint(note, folder.key);
      if (made !== undefined) {
        return ok({ size: made.size, at: new Date(made.atMs).toISOString(), note });
      }
      const message =
        'There is no checkpoint: nothing is on the record yet, or it cannot be written.';
      return err(refusal('state_unavailable', message, { retryAfterMs: 5_000 }));
    },
  };
}

/** Whether the state has the record of the journal that a checkpoint names; undefined where that cannot be asked now. */
async function journalOf(
  agreed: Checkpoint | undefined,
  store: Pick<Store, 'readAfter'>,
): Promise<{ readonly index: number; readonly agrees: boolean } | undefined> {
  const journal = agreed?.journal;
  if (journal === undefined) return undefined;
  const rows = await store.readAfter(journal.index - 1);
  if (!rows.ok) return undefined;
  const [row] = rows.value;
  return {
    index: journal.index,
    agrees: row?.index === journal.index && row.hash === journal.hash,
  };
}

function view({ index, kind, v, atMs, fields }: PlacedRecord): {
  index: number;
  at: string;
  kind: string;
  v: number;
  data: Record<string, unknown>;
} {
  return { index, at: recordTime(atMs), kind, v, data: { ...fields } };
}

const equalFields = [
  'caller',
  'client',
  'model',
  'outcome',
  'error',
  'operation',
  'request_id',
] as const;

function matcher(filter: AuditFilter): (record: PlacedRecord) => boolean {
  const since = filter.since === undefined ? 0 : Date.parse(filter.since);
  const until = filter.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(filter.until);
  const equal = equalFields.filter((name) => filter[name] !== undefined);
  return ({ kind, atMs, fields }) =>
    atMs >= since &&
    atMs < until &&
    (filter.kind === undefined || kind === filter.kind) &&
    equal.every((name) => fields[name] === filter[name]);
}
