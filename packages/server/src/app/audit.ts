import { existsSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Result } from '@postern/core/base';
import { err, messageOf, ok, onceUnlessItFails } from '@postern/core/base';
import type { AuditConfig } from '@postern/core/contract';
import { defaultConfig } from '@postern/core/contract/defaults';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { principalKey } from '@postern/core/identity';
import type { AuditFields, AuditRecord } from '@postern/core/state/audit';
import type { ContentStore, Conversation } from '../adapters/content-file/index.ts';
import type { AuditFolder } from '../adapters/segment-file/index.ts';
import { openAuditFolder } from '../adapters/segment-file/index.ts';
import type { ControlLine } from '../control/index.ts';
import type { GatewayClock } from '../gateway/index.ts';
import type { RefusedRequest } from '../http/index.ts';
import type { ToolLine } from '../mcp/index.ts';
import type { AppendRefusal, MeshDecision, SegmentLog } from '../observe/audit/index.ts';
import {
  MeshCounts,
  RefusalCounts,
  requestRecord,
  SpentMarks,
  SpentProof,
} from '../observe/audit/index.ts';
import type { Logger, Settlement } from '../observe/index.ts';

/** Everything that this process does for callers and operators, on the record. */
export interface AuditTrail {
  /** The log itself, for whoever keeps more in it than requests. */
  readonly log: SegmentLog;
  readonly folder: AuditFolder;
  request(settlement: Settlement): void;
  /** A request that no handler saw. */
  refused(refused: RefusedRequest): void;
  control(line: ControlLine): void;
  /** What was decided at an edge of the mesh; counted. */
  mesh(decision: MeshDecision): void;
  /** A call of an agent. */
  tool(line: ToolLine): void;
  /** A ledger begins: what its slices pay is on the record from here on. */
  ledgerBegan(process: string): void;
  /** What the record shows that slices of processes that are gone have paid. */
  spentProof(): Promise<SpentProof>;
  /** May something happen that must be recorded? Refused while the log takes no records. */
  admits(): Result<void, Refusal>;
  /** Signs where everything is now. */
  checkpoint(): Promise<void>;
  /** Takes up what a (new) configuration says. */
  configure(settings: AuditConfig): void;
  /** The last records and checkpoint, then the files are closed. */
  close(): Promise<void>;
}

export interface AuditTrailOptions {
  readonly stateDir: string;
  readonly logger: Logger;
  readonly clock: GatewayClock;
  readonly sha256Hex: (text: string) => string;
}

/** Where a state folder keeps its audit log. */
export function auditFolder(stateDir: string): string {
  return path.join(stateDir, 'audit');
}

/** Where conversations are kept, if any. */
function contentFolder(stateDir: string): string {
  return path.join(auditFolder(stateDir), 'content');
}

/** Opens the log of a state folder; a sentence where it is damaged. */
export async function openAuditTrail(options: AuditTrailOptions): Promise<Result<Trail, string>> {
  const dir = auditFolder(options.stateDir);
  try {
    const opened = await openAuditFolder({ dir, nowMs: () => options.clock.nowMs() });
    if (opened.ok) return ok(new Trail(options, opened.value));
    const { index, what } = opened.error;
    return err(
      `The audit log in ${dir} is damaged at record ${index}: ${what}. Look with \`postern audit verify --dir ${dir}\`; move the folder aside to begin a new log.`,
    );
  } catch (cause) {
    return err(`The audit log in ${dir} cannot be opened: ${messageOf(cause)}`);
  }
}

const dayMs = 86_400_000;

/** What is read after a crash: some minutes of a busy gateway, a second or two of reading. */
const proofRecordsMax = 200_000;

/** For readiness: what has to be recorded waits for the log. */
export function auditCheck(audit: AuditTrail): {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
} {
  const admitted = audit.admits();
  return {
    name: 'audit',
    ok: admitted.ok,
    message: admitted.ok ? 'recording' : admitted.error.message,
  };
}

const unavailable = Object.freeze({
  full: 'There is no space for the audit log.',
  failing: 'The audit log cannot be written.',
  slow: 'The disk of the audit log does not keep up.',
});

/** Records of counts that one turn of the event loop appends: half a millisecond. */
const countsPerTurn = 100;

/** Between complaints about one and the same condition. */
const complainMs = 60_000;

export class Trail implements AuditTrail {
  readonly folder: AuditFolder;
  readonly #options: AuditTrailOptions;
  readonly #counts = new RefusalCounts();
  readonly #mesh = new MeshCounts();
  readonly #marks = new SpentMarks();
  /** Counts that wait for their turn. */
  readonly #counted: AuditRecord[] = [];
  #appending: Promise<void> | undefined;
  /** Requests whose conversation is being kept, and whose record comes after it. */
  readonly #keeping = new Set<Promise<void>>();
  /** Only a gateway whose grants keep conversations loads what that needs. */
  readonly #store = onceUnlessItFails(async (): Promise<ContentStore> => {
    const { ContentStore: Store } = await import('../adapters/content-file/index.ts');
    return new Store(contentFolder(this.#options.stateDir));
  });
  #settings: AuditConfig = defaultConfig.audit;
  #journal: () => { readonly index: number; readonly hash: string } | undefined = () => undefined;
  #timer: { clear(): void } | undefined;
  #complainedAtMs = Number.NEGATIVE_INFINITY;
  #sweptDay = -1;

  constructor(options: AuditTrailOptions, folder: AuditFolder) {
    this.#options = options;
    this.folder = folder;
    this.#schedule();
  }

  get log(): SegmentLog {
    return this.folder.log;
  }

  /** Where the head of the state journal is found, once there is one. */
  follow(journal: () => { readonly index: number; readonly hash: string } | undefined): void {
    this.#journal = journal;
  }

  configure(settings: AuditConfig): void {
    this.#settings = settings;
    this.#schedule();
  }

  request(settlement: Settlement): void {
    const { request, caller, refusal } = settlement;
    if (caller === undefined && refusal !== undefined) {
      const { listener, clientAddress: source } = request;
      this.#count({ listener, code: refusal.code, source });
      return;
    }
    const { clock, sha256Hex } = this.#options;
    const { content } = settlement;
    if (content === undefined || caller === undefined) {
      this.#appendRequest(settlement, requestRecord(settlement, clock.nowMs(), sha256Hex));
      return;
    }
    const conversation = {
      atMs: Math.trunc(clock.nowMs()),
      requestId: request.id,
      caller: principalKey(caller.subject),
      ...content,
    };
    // Whether the conversation can be kept or not, the request is on the record.
    const kept = this.#keep(conversation)
      .catch((cause: unknown) => {
        this.#complain(`a conversation was not kept: ${messageOf(cause)}`);
        return undefined;
      })
      .then((key) => {
        this.#keeping.delete(kept);
        this.#appendRequest(
          settlement,
          requestRecord(settlement, conversation.atMs, sha256Hex, key),
        );
      });
    this.#keeping.add(kept);
  }

  refused({ listener, code, peerAddress: source }: RefusedRequest): void {
    this.#count({ listener, code, source });
  }

  mesh(decision: MeshDecision): void {
    this.#appendCounts(this.#mesh.take(decision, this.#options.clock.nowMs()));
  }

  control({ atMs, operation, actor, requestId, outcome, code, journalIndex }: ControlLine): void {
    const fields: AuditFields = {
      actor: { ...actor },
      error: code,
      journal_index: journalIndex,
      operation,
      outcome,
      request_id: requestId,
    };
    const record = { kind: 'control', v: 1, atMs, fields };
    const taken = this.log.append(record, 'control');
    if (!taken.ok) this.#complain(`a control operation was not recorded: ${taken.error.why}`);
  }

  tool(line: ToolLine): void {
    const fields: AuditFields = {
      actor: { ...line.actor },
      approved_by: line.approvedBy,
      args_sha256: line.argsDigest,
      client: line.client,
      duration_ms: line.durationMs,
      error: line.code,
      outcome: line.outcome,
      plan: line.plan,
      policy_after: line.policyAfter,
      policy_before: line.policyBefore,
      request_id: line.requestId,
      tool: line.tool,
    };
    const taken = this.log.append({ kind: 'tool', v: 1, atMs: line.atMs, fields }, 'control');
    if (!taken.ok) this.#complain(`a call of an agent was not recorded: ${taken.error.why}`);
  }

  ledgerBegan(process: string): void {
    const record = this.#marks.begin(process, this.#options.clock.nowMs());
    const taken = this.log.append(record, 'control');
    if (!taken.ok) this.#complain(`the begin of a ledger was not recorded: ${taken.error.why}`);
  }

  async spentProof(): Promise<SpentProof> {
    const proof = new SpentProof();
    const to = this.log.durableIndex;
    for await (const record of this.log.read(Math.max(1, to - proofRecordsMax), to)) {
      proof.take(record);
    }
    return proof;
  }

  admits(): Result<void, Refusal> {
    const { health } = this.log;
    if (health.kind === 'good' || this.#settings.whenUnavailable === 'serve') return ok(undefined);
    this.#complain(`requests are refused: ${health.why}`);
    return refuse('state_unavailable', unavailable[health.kind], { retryAfterMs: 5_000 });
  }

  async checkpoint(): Promise<void> {
    for (const record of this.#marks.take(this.#options.clock.nowMs())) this.#append(record);
    this.#appendCounts(this.#counts.flush(this.#options.clock.nowMs()));
    this.#appendCounts(this.#mesh.flush(this.#options.clock.nowMs()));
    await this.#appending;
    // Apart from what follows: what is wrong with kept conversations ends no checkpoint.
    try {
      await this.#tendContent();
    } catch (cause) {
      this.#complain(`kept conversations were not tended: ${messageOf(cause)}`);
    }
    try {
      const { witness: witnesses } = this.#settings;
      await this.folder.checkpoint({ journal: this.#journal(), witnesses });
    } catch (cause) {
      this.#complain(`a checkpoint was not written: ${messageOf(cause)}`);
    }
  }

  async close(): Promise<void> {
    this.#timer?.clear();
    this.#timer = undefined;
    await Promise.all(this.#keeping);
    await (await this.#store.begun())?.settled();
    this.#appendCounts(this.#counts.flush(this.#options.clock.nowMs(), true));
    this.#appendCounts(this.#mesh.flush(this.#options.clock.nowMs(), true));
    await this.#appending;
    // A log that cannot be written has no end that could be signed.
    if (this.log.health.kind === 'good') await this.checkpoint();
    const lost = await this.folder.log.close();
    if (lost > 0) this.#options.logger.error({ lost }, 'audit records were not written');
  }

  /** Keeps a conversation; the id of its key, or undefined where it could not be kept. */
  async #keep(conversation: Conversation): Promise<string | undefined> {
    const { contentKeyId } = await import('../adapters/content-file/index.ts');
    const store = await this.#store();
    const isKept = store.keep(conversation, (fault) =>
      this.#complain(`a conversation was not kept: ${messageOf(fault)}`),
    );
    if (isKept) return contentKeyId(conversation.caller, conversation.atMs);
    this.#complain('a conversation was not kept: too many wait for the disk');
    return undefined;
  }

  /** Puts erasures of the command line on the record, and once a day removes what is too old. */
  async #tendContent(): Promise<void> {
    const folder = contentFolder(this.#options.stateDir);
    if (!existsSync(folder)) return;
    const store = await this.#store();
    const nowMs = Math.trunc(this.#options.clock.nowMs());
    await this.#recordErasures(store);
    const day = Math.floor(nowMs / dayMs);
    if (day === this.#sweptDay) return;
    const days = await store.sweep(nowMs, this.#settings.retentionDays);
    this.#sweptDay = day;
    if (days > 0) this.#erased({ before_ms: nowMs - this.#settings.retentionDays * dayMs, days });
  }

  /** They are forgotten once their records are durable, and told again where a record was not taken. */
  async #recordErasures(store: ContentStore): Promise<void> {
    const erasures = await store.takeErasures();
    if (erasures.length === 0) return;
    let last = 0;
    for (const { principal, keys } of erasures) {
      const taken = this.#erased({ keys, principal });
      if (!taken.ok) return;
      last = taken.value;
    }
    if (await this.log.whenDurable(last)) await store.erasuresRecorded();
  }

  #erased(fields: AuditFields): Result<number, AppendRefusal> {
    const atMs = Math.trunc(this.#options.clock.nowMs());
    return this.log.append({ kind: 'content.erased', v: 1, atMs, fields }, 'control');
  }

  #count(unidentified: Parameters<RefusalCounts['take']>[0]): void {
    this.#appendCounts(this.#counts.take(unidentified, this.#options.clock.nowMs()));
  }

  /** Counts of a minute: who sends garbage decides how many there are, so that they go in pieces. */
  #appendCounts(records: readonly AuditRecord[]): void {
    for (const record of records) this.#counted.push(record);
    // While some wait they go by turns alone: a flood of refusals calls this for each of them.
    if (this.#appending !== undefined) return;
    this.#appendSome();
    if (this.#counted.length === 0) return;
    this.#appending ??= this.#appendRest().finally(() => {
      this.#appending = undefined;
    });
  }

  async #appendRest(): Promise<void> {
    while (this.#counted.length > 0) {
      await nextTurn();
      this.#appendSome();
    }
  }

  #appendSome(): void {
    for (const record of this.#counted.splice(0, countsPerTurn)) this.#append(record);
  }

  #appendRequest({ accounts, cost }: Settlement, record: AuditRecord): void {
    if (this.#append(record) && accounts !== undefined) this.#marks.add(accounts, cost ?? 0);
  }

  #append(record: AuditRecord): boolean {
    const taken = this.log.append(record);
    if (!taken.ok) this.#complain(`a record was not taken: ${taken.error.why}`);
    return taken.ok;
  }

  #schedule(): void {
    this.#timer?.clear();
    this.#timer = this.#options.clock.after(this.#settings.checkpointSeconds * 1_000, () => {
      void this.checkpoint().then(() => {
        if (this.#timer !== undefined) this.#schedule();
      });
    });
  }

  #complain(why: string): void {
    const now = this.#options.clock.nowMs();
    if (now - this.#complainedAtMs < complainMs) return;
    this.#complainedAtMs = now;
    this.#options.logger.error({ why }, 'audit');
  }
}
