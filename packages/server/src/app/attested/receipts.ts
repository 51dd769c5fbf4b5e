import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { principalKey } from '@postern/core/identity';
import type { AuditFields, PlacedRecord } from '@postern/core/state/audit';
import { receiptText, recordBody } from '@postern/core/state/audit';
import type { AuditFolder } from '../../adapters/segment-file/index.ts';
import type { ReceiptDesk } from '../../gateway/index.ts';
import type { Settlement } from '../../observe/index.ts';
import type { ServedBy } from './upstreams.ts';

export interface ReceiptsOptions {
  readonly folder: AuditFolder;
  readonly nowMs: () => number;
  readonly onProblem: (message: string) => void;
}

/** Receipts that are found at once: a day of them, and no more than this many. */
const keptMax = 100_000;
const keptMs = 86_400_000;
/** Records that are looked through for an older one, or after a restart: a fifth of a second, one search at a time. */
const searchedMax = 50_000;
const kind = 'attestation';

interface Kept {
  readonly index: number;
  readonly atMs: number;
}

/**
 * What was verified about whoever served a request, on the record: a line of the audit log, hence in its tree, and a note
 * over it that the log's key signs when somebody asks.
 */
export class Receipts implements ReceiptDesk {
  readonly #options: ReceiptsOptions;
  readonly #kept = new Map<string, Kept>();
  #searching: Promise<unknown> = Promise.resolve();

  constructor(options: ReceiptsOptions) {
    this.#options = options;
  }

  /** Once for each request that an attested upstream answered. */
  record(settlement: Settlement, by: ServedBy): void {
    const { folder, nowMs, onProblem } = this.#options;
    const atMs = Math.trunc(nowMs());
    const fields = fieldsOf(settlement, by);
    const taken = folder.log.append({ kind, v: 1, atMs, fields });
    if (!taken.ok) {
      onProblem(`an attestation was not recorded: ${taken.error.why}`);
      return;
    }
    this.#kept.set(settlement.request.id, { index: taken.value, atMs });
    for (const [id, kept] of this.#kept) {
      if (this.#kept.size <= keptMax && kept.atMs > atMs - keptMs) break;
      this.#kept.delete(id);
    }
  }

  async find(
    requestId: string,
    reader: string,
    isAdmin: boolean,
  ): Promise<Result<string, Refusal>> {
    const record = await this.#record(requestId);
    // Somebody else's receipt is not told apart from none.
    const isTheirs = record !== undefined && (isAdmin || record.fields['caller'] === reader);
    if (!isTheirs) {
      return refuse('not_found', `There is no attestation of a request ${requestId} of yours.`);
    }
    const { folder } = this.#options;
    const { index } = record;
    const body = recordBody(record, index);
    const note = folder.sign(receiptText({ origin: folder.key.name, index, body }));
    const attestation = { ...record.fields };
    return ok(
      JSON.stringify({ object: kind, request_id: requestId, index, attestation, body, note }),
    );
  }

  async #record(requestId: string): Promise<PlacedRecord | undefined> {
    const { log } = this.#options.folder;
    const kept = this.#kept.get(requestId);
    if (kept !== undefined) {
      if (!(await log.whenDurable(kept.index))) return undefined;
      for await (const record of log.read(kept.index, kept.index)) return record;
    }
    const search = this.#searching.then(() => this.#search(requestId));
    this.#searching = search.catch(() => undefined);
    return search;
  }

  async #search(requestId: string): Promise<PlacedRecord | undefined> {
    const { log } = this.#options.folder;
    const to = log.durableIndex;
    for await (const record of log.read(Math.max(1, to - searchedMax + 1), to)) {
      if (record.kind === kind && record.fields['request_id'] === requestId) return record;
    }
    return undefined;
  }
}

function fieldsOf(
  { request, caller, target, outcome, status }: Settlement,
  { peer, policyGeneration, policyDigest }: ServedBy,
): AuditFields {
  return {
    app_id: peer.appId,
    bound_to: peer.sessionBound === true ? 'session' : 'certificate',
    caller: caller === undefined ? undefined : principalKey(caller.subject),
    certificate_sha256: peer.certificateHash,
    compose_hash: peer.composeHash,
    device_id: peer.deviceId,
    instance_id: peer.instanceId,
    outcome,
    platform: peer.platform,
    policy_generation: policyGeneration,
    policy_sha256: policyDigest,
    request_id: request.id,
    status,
    target,
    tcb_status: peer.tcbStatus,
    verdict: 'accepted',
    verified_by: peer.kind,
  };
}
