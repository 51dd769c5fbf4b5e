import type { Result } from '@postern/core/base';
import type { EvidenceAct, EvidenceProof } from './evidence.ts';

/** What a run that was broken off had done, so that the next one goes on from there. */
export interface Progress {
  readonly acts: readonly EvidenceAct[];
  /** What was seen before anything was done. */
  readonly seen: Readonly<Record<string, string>>;
  readonly beganAtMs: number;
}

export interface ScribeOptions {
  readonly isDryRun: boolean;
  readonly progress: Progress;
  /** Called after every act, before the next one. */
  readonly save: (progress: Progress) => Promise<void>;
}

/** Lines of one report: an evidence file is read by people, and a note has a limit. */
const reportMax = 200;
const lineCharsMax = 300;

/** Does what a step does, once, and writes down what it did and what it saw. */
export class Scribe {
  readonly isDryRun: boolean;
  readonly acts: EvidenceAct[];
  readonly proofs: EvidenceProof[] = [];
  readonly followUp: string[] = [];
  readonly report: string[] = [];
  readonly #options: ScribeOptions;
  readonly #seen: Map<string, string>;

  constructor(options: ScribeOptions) {
    this.#options = options;
    this.isDryRun = options.isDryRun;
    // What failed is tried again.
    this.acts = options.progress.acts.filter(({ outcome }) => outcome !== 'failed');
    this.#seen = new Map(Object.entries(options.progress.seen));
  }

  /** Does something unless an earlier run of this incident did, or this is a dry run. */
  async act(what: string, work: () => Promise<Result<string, string>>): Promise<void> {
    if (this.acts.some((act) => act.what === what)) return;
    if (this.isDryRun) {
      this.acts.push({ what, outcome: 'planned', detail: '' });
      return;
    }
    const done = await work();
    this.acts.push({
      what,
      outcome: done.ok ? 'done' : 'failed',
      detail: plain(done.ok ? done.value : done.error),
    });
    await this.#save();
  }

  /** There is nothing of this kind to do here. */
  none(what: string, detail: string): void {
    if (!this.acts.some((act) => act.what === what))
      this.acts.push({ what, outcome: 'none', detail });
  }

  /** What is seen before; a run that goes on keeps what the first one saw. */
  async see(what: string, look: () => Promise<string> | string): Promise<string> {
    const known = this.#seen.get(what);
    if (known !== undefined) return known;
    const seen = plain(await look());
    this.#seen.set(what, seen);
    await this.#save();
    return seen;
  }

  /** A list that is fixed when the step begins: what somebody adds meanwhile is not part of it. */
  async fix(what: string, list: () => readonly string[]): Promise<readonly string[]> {
    const kept = this.#seen.get(what);
    const text = kept ?? JSON.stringify(list());
    if (kept === undefined) {
      this.#seen.set(what, text);
      await this.#save();
    }
    // What was written was a list of texts.
    return JSON.parse(text) as readonly string[];
  }

  prove(what: string, before: string, after: string, holds: boolean): void {
    if (this.isDryRun) return;
    this.proofs.push({ what: plain(what), before: plain(before), after: plain(after), holds });
  }

  say(line: string): void {
    if (this.report.length < reportMax) this.report.push(plain(line));
    else if (this.report.length === reportMax) this.report.push('… and more: postern audit query');
  }

  next(line: string): void {
    this.followUp.push(line);
  }

  async #save(): Promise<void> {
    if (this.isDryRun) return;
    const { beganAtMs } = this.#options.progress;
    await this.#options.save({
      acts: this.acts,
      seen: Object.fromEntries(this.#seen),
      beganAtMs,
    });
  }
}

/** One line of bounded length: a note has no control characters, and texts of callers may stand in a report. */
function plain(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, lineCharsMax)
    .toWellFormed();
}
