import { err, ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import {
  collateralFindings,
  finding,
  openCollateral,
  parseCollateral,
  subjectOfCollateral,
} from '@postern/core/attest';
import type {
  CollateralSubject,
  CryptoPort,
  Finding,
  IntelCollateral,
  IntelCollateralSource,
  RootPins,
} from '@postern/core/attest';
import type { Egress } from '../../http/index.ts';
import { fetchCollateral } from './fetch.ts';
import type { CollateralOrigin } from './fetch.ts';
import { CollateralFolder } from './store.ts';

export interface CollateralOptions {
  /** Folder of the files, inside the state folder. */
  readonly folder: string;
  readonly crypto: CryptoPort;
  /** Roots that collateral may chain to. */
  readonly pins: RootPins;
  readonly nowMs: () => number;
  /** Where to ask and how; undefined in a closed network, where files are imported. */
  readonly remote: { readonly origin: CollateralOrigin; readonly egress: Egress } | undefined;
}

/** One subject's collateral, for people and status pages. */
export interface CollateralEntry {
  readonly subject: CollateralSubject;
  readonly collateral: IntelCollateral;
  readonly storedAtMs: number;
  /** Empty while it may be used. */
  readonly findings: readonly Finding[];
}

/** Intel has some 60 processor families; a subject is kept only for a platform that a pinned root vouches for. */
const subjectsMax = 256;
/** Intel publishes lists and statements for 30 days, and new ones more often: a day keeps revocations fresh. */
const refreshAfterMs = 86_400_000;
/** In the last quarter of a window newer ones are asked for hourly: a failing refresh can still be mended then. */
const lastPart = 4;
const refreshLateMs = 3_600_000;
/** Between two attempts for one subject after a failure: first, and at most. */
const retryFirstMs = 60_000;
const retryMaxMs = 3_600_000;

interface Held {
  readonly collateral: IntelCollateral;
  readonly storedAtMs: number;
}

interface Attempts {
  readonly failures: number;
  readonly notBeforeMs: number;
  readonly problem: Finding;
}

/**
 * Intel's collateral by subject: from memory, from the state folder, from Intel. What is handed out has every
 * signature checked and is inside its window; a refresh that fails leaves the last good one in use until it ends,
 * and then nothing is handed out.
 */
export class CollateralService {
  readonly #options: CollateralOptions;
  readonly #files: CollateralFolder;
  readonly #held = new Map<string, Held>();
  readonly #attempts = new Map<string, Attempts>();
  readonly #running = new Map<string, Promise<Result<Held, Finding>>>();

  constructor(options: CollateralOptions) {
    this.#options = options;
    this.#files = new CollateralFolder(options.folder);
  }

  /** Collateral that holds now. Asks Intel where there is none, and ahead of time in the background. */
  async get(subject: CollateralSubject): Promise<Result<IntelCollateral, Finding>> {
    const held = await this.#known(subject);
    if (held === undefined || this.#problems(held).length > 0) {
      const fetched = await this.#fetch(subject, { isUrgent: true });
      return fetched.ok ? ok(fetched.value.collateral) : this.#none(held, fetched.error);
    }
    if (this.#isDue(held)) void this.#fetch(subject, { isUrgent: false });
    return ok(held.collateral);
  }

  /** What is in memory and holds now, without waiting: for the path of a handshake. */
  peek(subject: CollateralSubject): IntelCollateral | undefined {
    const held = this.#held.get(keyOf(subject));
    return held === undefined || this.#problems(held).length > 0 ? undefined : held.collateral;
  }

  /**
   * Takes a collateral file: verified to the pinned root, current, and not older than what is there. Throws where the
   * state folder cannot be written.
   */
  async import(bytes: Uint8Array): Promise<Result<CollateralEntry, Finding>> {
    const source = parseCollateral(bytes);
    if (!source.ok) return source;
    const opened = this.#open(source.value);
    if (!opened.ok) return opened;
    const subject = subjectOfCollateral(opened.value);
    if (!subject.ok) return subject;
    const [problem] = collateralFindings(opened.value, this.#options.nowMs());
    if (problem !== undefined) return err(problem);
    const before = await this.#known(subject.value);
    const older = before === undefined ? undefined : olderPart(opened.value, before.collateral);
    if (older !== undefined) return err(finding('collateral_too_old', `${older} is older`));
    await this.#files.write(subject.value, source.value);
    const held = await this.#keep(subject.value, opened.value);
    return ok(this.#entry(subject.value, held));
  }

  /** Asks for a subject again, whatever its age. */
  async refresh(subject: CollateralSubject): Promise<Result<CollateralEntry, Finding>> {
    this.#attempts.delete(keyOf(subject));
    const fetched = await this.#fetch(subject, { isUrgent: true });
    return fetched.ok ? ok(this.#entry(subject, fetched.value)) : fetched;
  }

  /** Asks ahead for everything that is due: to be called now and then, so that no peer has to wait. */
  async refreshDue(): Promise<readonly Finding[]> {
    const problems: Finding[] = [];
    for (const { subject, collateral, storedAtMs } of await this.list()) {
      if (!this.#isDue({ collateral, storedAtMs })) continue;
      const fetched = await this.#fetch(subject, { isUrgent: false });
      if (!fetched.ok) problems.push(fetched.error);
    }
    return problems;
  }

  /** Everything that is stored and authentic, current or not. */
  async list(): Promise<readonly CollateralEntry[]> {
    const entries: CollateralEntry[] = [];
    for (const subject of (await this.#files.subjects()).slice(0, subjectsMax)) {
      const held = await this.#known(subject);
      if (held !== undefined) entries.push(this.#entry(subject, held));
    }
    return entries;
  }

  async #known(subject: CollateralSubject): Promise<Held | undefined> {
    const key = keyOf(subject);
    const held = this.#held.get(key);
    if (held !== undefined) {
      // Moves to the end: the least recently used one is forgotten first.
      this.#held.delete(key);
      this.#held.set(key, held);
      return held;
    }
    const file = await this.#files.read(subject);
    if (file === undefined) return undefined;
    // A file that somebody changed is not authentic and counts as none.
    const opened = this.#open(file.source);
    if (!opened.ok || !isAbout(opened.value, subject)) return undefined;
    const found = { collateral: opened.value, storedAtMs: file.storedAtMs };
    await this.#remember(subject, found);
    return found;
  }

  /** One request a subject at a time; everybody who needs it waits for the same one. */
  #fetch(
    subject: CollateralSubject,
    { isUrgent }: { readonly isUrgent: boolean },
  ): Promise<Result<Held, Finding>> {
    const key = keyOf(subject);
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const failed = this.#attempts.get(key);
    if (failed !== undefined && this.#options.nowMs() < failed.notBeforeMs) {
      return Promise.resolve(err(failed.problem));
    }
    const attempt = this.#attempt(subject, isUrgent).finally(() => this.#running.delete(key));
    this.#running.set(key, attempt);
    return attempt;
  }

  async #attempt(subject: CollateralSubject, isUrgent: boolean): Promise<Result<Held, Finding>> {
    const key = keyOf(subject);
    const outcome = await this.#ask(subject, isUrgent);
    if (outcome.ok) {
      this.#attempts.delete(key);
      return outcome;
    }
    const failures = (this.#attempts.get(key)?.failures ?? 0) + 1;
    const waitMs = Math.min(retryMaxMs, retryFirstMs * 2 ** (failures - 1));
    const notBeforeMs = this.#options.nowMs() + waitMs;
    this.#attempts.delete(key);
    this.#attempts.set(key, { failures, notBeforeMs, problem: outcome.error });
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > subjectsMax && oldest !== undefined) this.#attempts.delete(oldest);
    return outcome;
  }

  async #ask(subject: CollateralSubject, isUrgent: boolean): Promise<Result<Held, Finding>> {
    const { remote, nowMs } = this.#options;
    if (remote === undefined) {
      return err(finding('collateral_missing', 'nothing may be fetched: import a file'));
    }
    const source = await fetchCollateral(subject, remote.origin, remote.egress);
    if (!source.ok) return source;
    const opened = this.#open(source.value);
    if (!opened.ok) return opened;
    if (!isAbout(opened.value, subject)) {
      return err(finding('fmspc_mismatch', `${remote.origin.baseUrl.host} answered about another`));
    }
    const [problem] = collateralFindings(opened.value, nowMs());
    if (problem !== undefined) return err(problem);
    const before = await this.#known(subject);
    const isUsable = before !== undefined && this.#problems(before).length === 0;
    const older = isUsable ? olderPart(opened.value, before.collateral) : undefined;
    // A cache on the way may be behind; what is newer and still good stays.
    if (older !== undefined && isUsable) {
      const problemOfAge = finding('collateral_too_old', `${older} is older than the stored one`);
      return isUrgent ? ok(before) : err(problemOfAge);
    }
    // A full disk costs a request after the next start, and nobody the connection that waits for this answer.
    await this.#files.write(subject, source.value).catch(() => undefined);
    return ok(await this.#keep(subject, opened.value));
  }

  async #keep(subject: CollateralSubject, collateral: IntelCollateral): Promise<Held> {
    const held = { collateral, storedAtMs: this.#options.nowMs() };
    await this.#remember(subject, held);
    return held;
  }

  async #remember(subject: CollateralSubject, held: Held): Promise<void> {
    const key = keyOf(subject);
    this.#held.delete(key);
    this.#held.set(key, held);
    const [oldest] = this.#held.keys();
    if (this.#held.size <= subjectsMax || oldest === undefined) return;
    this.#held.delete(oldest);
    await this.#files.remove(subjectOfKey(oldest));
  }

  #open(source: IntelCollateralSource): Result<IntelCollateral, Finding> {
    const { crypto, pins } = this.#options;
    return openCollateral(source, { crypto, pins });
  }

  #problems({ collateral }: Held): readonly Finding[] {
    return collateralFindings(collateral, this.#options.nowMs());
  }

  #isDue({ collateral, storedAtMs }: Held): boolean {
    const nowMs = this.#options.nowMs();
    const { notBeforeMs, notAfterMs } = collateral.window;
    const isLate = nowMs >= notAfterMs - (notAfterMs - notBeforeMs) / lastPart;
    return nowMs >= storedAtMs + (isLate ? refreshLateMs : refreshAfterMs);
  }

  #entry(subject: CollateralSubject, held: Held): CollateralEntry {
    return { subject, ...held, findings: this.#problems(held) };
  }

  /** Why there is nothing: what is stored has ended, and a newer one could not be had. */
  #none(held: Held | undefined, why: Finding): Result<never, Finding> {
    const [problem] = held === undefined ? [] : this.#problems(held);
    if (problem === undefined) return err(why);
    return err(finding(problem.code, `${problem.detail}; ${why.code}: ${why.detail}`));
  }
}

function keyOf({ tee, fmspc, ca }: CollateralSubject): string {
  return `${tee}-${fmspc}-${ca}`;
}

function subjectOfKey(key: string): CollateralSubject {
  const [tee, fmspc = '', ca] = key.split('-');
  return {
    tee: tee === 'sgx' ? 'sgx' : 'tdx',
    fmspc,
    ca: ca === 'platform' ? 'platform' : 'processor',
  };
}

function isAbout(collateral: IntelCollateral, subject: CollateralSubject): boolean {
  const about = subjectOfCollateral(collateral);
  return about.ok && keyOf(about.value) === keyOf(subject);
}

/** Which part of collateral is older than the one before: nobody may take us back to before a revocation. */
function olderPart(next: IntelCollateral, before: IntelCollateral): string | undefined {
  const parts = [
    ['TCB info', next.tcbInfo.notBeforeMs, before.tcbInfo.notBeforeMs],
    ['QE identity', next.qeIdentity.notBeforeMs, before.qeIdentity.notBeforeMs],
    ['the root list', next.rootList.notBeforeMs, before.rootList.notBeforeMs],
    ['the PCK list', next.pckList.notBeforeMs, before.pckList.notBeforeMs],
    ['the TCB evaluation', next.tcbInfo.evaluationNumber, before.tcbInfo.evaluationNumber],
  ] as const;
  return parts.find(([, is, was]) => is < was)?.[0];
}
