import { err, ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import { finding } from '@postern/core/attest';
import type { Finding, Window } from '@postern/core/attest';
import { parseVendorBundle } from '@postern/core/attest/vendor';
import type { Egress } from '../../http/index.ts';
import { fetchFile } from './fetch.ts';
import { AmdFolder } from './folder.ts';
import type { StoredBytes } from './folder.ts';
import { chainItem, chipItem, listItem, openChain } from './item.ts';
import type { Anchors, Item } from './item.ts';
import { amdProducts, amdSubjects } from './subject.ts';
import type { AmdSubject } from './subject.ts';

export interface AmdCollateralOptions extends Anchors {
  /** Folder of the files, inside the state folder. */
  readonly folder: string;
  readonly nowMs: () => number;
  /** Undefined in a closed network, where files are imported. */
  readonly egress: Egress | undefined;
}

/** What a report's verification takes: authentic, and the certificates current. */
export interface AmdCollateral {
  /** The chip's certificate, where there is one, and its issuers. */
  readonly certificates: readonly Uint8Array[];
  /** The last one, ended or not; undefined where there never was one. */
  readonly revocationList: Uint8Array | undefined;
}

/** Chips of a fleet at their patch levels; the one that was stored longest ago goes first. */
const chipsMax = 256;
const attemptsMax = 256;
/** AMD's lists hold for months: a day keeps revocations fresh. */
const refreshAfterMs = 86_400_000;
/** In the last quarter of a window newer ones are asked for hourly: a failing refresh can still be mended then. */
const lastPart = 4;
const refreshLateMs = 3_600_000;
/** Between two attempts for one file after a failure: first, and at most. */
const retryFirstMs = 60_000;
const retryMaxMs = 3_600_000;

const families: readonly AmdSubject[] = amdProducts.flatMap((product) =>
  (['vcek', 'vlek'] as const).map((key) => ({ product, key, chip: undefined })),
);

interface Held extends StoredBytes {
  readonly window: Window;
}

interface Attempts {
  readonly failures: number;
  readonly notBeforeMs: number;
  readonly problem: Finding;
}

/** AMD's certificates and lists by report: from the state folder, from AMD. */
export class AmdCollateralService {
  readonly #options: AmdCollateralOptions;
  readonly #files: AmdFolder;
  readonly #attempts = new Map<string, Attempts>();
  readonly #running = new Map<string, Promise<Result<Held, Finding>>>();

  constructor(options: AmdCollateralOptions) {
    this.#options = options;
    this.#files = new AmdFolder(options.folder);
  }

  /** What a report needs. Asks AMD for what is not stored or has ended. */
  async get(report: Uint8Array): Promise<Result<AmdCollateral, Finding>> {
    const subjects = amdSubjects(report);
    if (!subjects.ok) return subjects;
    let problem = finding('collateral_missing', '');
    for (const subject of subjects.value) {
      const found = await this.#gather(subject, report, (item) => this.#ensure(item));
      if (found.ok) return found;
      problem = found.error;
    }
    return err(problem);
  }

  /** What is stored and holds now, without asking anybody; undefined where the chain or the certificate is not. */
  async stored(report: Uint8Array): Promise<AmdCollateral | undefined> {
    const subjects = amdSubjects(report);
    if (!subjects.ok) return undefined;
    for (const subject of subjects.value) {
      const found = await this.#gather(subject, report, (item) => this.#current(item));
      if (found.ok) return found.value;
    }
    return undefined;
  }

  /** Asks ahead for every list that is due. Certificates hold for years and are not asked for again. */
  async refreshDue(): Promise<readonly Finding[]> {
    const problems: Finding[] = [];
    const names = new Set(await this.#files.names());
    for (const family of families) {
      const chain = chainItem(family, this.#options);
      if (!names.has(chain.name)) continue;
      const issuers = await this.#current(chain);
      if (!issuers.ok) {
        problems.push(issuers.error);
        continue;
      }
      const list = listItem(family, issuers.value.bytes, this.#options);
      const held = await this.#known(list);
      if (held !== undefined && !this.#isDue(held)) continue;
      const fetched = await this.#fetch(list);
      if (!fetched.ok) problems.push(fetched.error);
    }
    return problems;
  }

  /**
   * Takes a file of AMD: a chain in PEM, a list whose chain is stored, or a chip's certificate with the report that it
   * is for. Gives the names of what was stored. Throws where the state folder cannot be written.
   */
  async import(bytes: Uint8Array, report?: Uint8Array): Promise<Result<string[], Finding>> {
    const bundle = parseVendorBundle(bytes);
    const items = !bundle.ok
      ? await this.#lists()
      : bundle.value.length === 1
        ? await this.#chips(report)
        : families.map((family) => chainItem(family, this.#options));
    const isChain = bundle.ok && bundle.value.length > 1;
    let problem = isChain
      ? finding('chain_profile_violated', 'not a chain of a known product')
      : finding('collateral_missing', 'import the chain first');
    if (isChain) {
      const chain = openChain(bytes, this.#options);
      if (!chain.ok) return chain;
    }
    const names: string[] = [];
    for (const item of items) {
      const kept = await this.#keep(item, bytes);
      if (kept.ok) names.push(item.name);
      // A chain is tried as every product's; what the right one says is the reason.
      else if (kept.error.code !== 'chain_profile_violated') problem = kept.error;
    }
    return names.length > 0 ? ok(names) : err(problem);
  }

  async #lists(): Promise<Item[]> {
    const items: Item[] = [];
    for (const family of families) {
      const chain = await this.#current(chainItem(family, this.#options));
      if (chain.ok) items.push(listItem(family, chain.value.bytes, this.#options));
    }
    return items;
  }

  async #chips(report: Uint8Array | undefined): Promise<Item[]> {
    const subjects = report === undefined ? undefined : amdSubjects(report);
    if (report === undefined || subjects?.ok !== true) return [];
    const items: Item[] = [];
    for (const { product, key, chip } of subjects.value) {
      const chain = await this.#current(chainItem({ product, key }, this.#options));
      if (!chain.ok || chip === undefined) continue;
      items.push(chipItem(product, chip, { ...this.#options, report, chain: chain.value.bytes }));
    }
    return items;
  }

  async #gather(
    subject: AmdSubject,
    report: Uint8Array,
    find: (item: Item) => Promise<Result<Held, Finding>>,
  ): Promise<Result<AmdCollateral, Finding>> {
    const chain = await find(chainItem(subject, this.#options));
    if (!chain.ok) return chain;
    const issuers = chain.value.bytes;
    const certificates = [issuers];
    if (subject.chip !== undefined) {
      const context = { ...this.#options, report, chain: issuers };
      const own = await find(chipItem(subject.product, subject.chip, context));
      if (!own.ok) return own;
      certificates.unshift(own.value.bytes);
    }
    const listed = listItem(subject, issuers, this.#options);
    const list = await find(listed);
    // One that ended is handed out too: the verifier has to say so, and not to do as if there had never been one.
    const last = list.ok ? list.value : await this.#known(listed);
    return ok({ certificates, revocationList: last?.bytes });
  }

  async #ensure(item: Item): Promise<Result<Held, Finding>> {
    const held = await this.#current(item);
    return held.ok ? held : this.#fetch(item);
  }

  /** Authentic, whatever its window. A file that somebody changed counts as none. */
  async #known(item: Item): Promise<Held | undefined> {
    const file = await this.#files.read(item.name, item.bytesMax);
    const opened = file === undefined ? undefined : item.open(file.bytes);
    return file === undefined || opened?.ok !== true
      ? undefined
      : { ...file, window: opened.value };
  }

  async #current(item: Item): Promise<Result<Held, Finding>> {
    const held = await this.#known(item);
    if (held === undefined) return err(finding('collateral_missing', item.name));
    const problem = this.#problem(item, held.window);
    return problem === undefined ? ok(held) : err(problem);
  }

  /** One request a file at a time; everybody who needs it waits for the same one. */
  #fetch(item: Item): Promise<Result<Held, Finding>> {
    const running = this.#running.get(item.name);
    if (running !== undefined) return running;
    const failed = this.#attempts.get(item.name);
    if (failed !== undefined && this.#options.nowMs() < failed.notBeforeMs) {
      return Promise.resolve(err(failed.problem));
    }
    const attempt = this.#attempt(item).finally(() => this.#running.delete(item.name));
    this.#running.set(item.name, attempt);
    return attempt;
  }

  async #attempt(item: Item): Promise<Result<Held, Finding>> {
    const { egress, nowMs } = this.#options;
    if (egress === undefined) {
      return err(finding('collateral_missing', 'nothing may be fetched: import a file'));
    }
    const answer = await fetchFile(item, egress);
    const outcome = answer.ok ? await this.#keep(item, answer.value).catch(unwritable) : answer;
    const failures = (this.#attempts.get(item.name)?.failures ?? 0) + 1;
    this.#attempts.delete(item.name);
    if (outcome.ok) return outcome;
    const notBeforeMs = nowMs() + Math.min(retryMaxMs, retryFirstMs * 2 ** (failures - 1));
    this.#attempts.set(item.name, { failures, notBeforeMs, problem: outcome.error });
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > attemptsMax && oldest !== undefined) this.#attempts.delete(oldest);
    return outcome;
  }

  /** Verified, current and not older than what is there, or not stored. */
  async #keep(item: Item, bytes: Uint8Array): Promise<Result<Held, Finding>> {
    if (bytes.length > item.bytesMax) {
      return err(finding('collateral_malformed', `${bytes.length} bytes`));
    }
    const opened = item.open(bytes);
    if (!opened.ok) return opened;
    const problem = this.#problem(item, opened.value);
    if (problem !== undefined) return err(problem);
    const before = await this.#known(item);
    if (before !== undefined && opened.value.notBeforeMs < before.window.notBeforeMs) {
      return err(finding('collateral_too_old', `${item.name} is older than the stored one`));
    }
    const storedAtMs = this.#options.nowMs();
    await this.#files.write(item.name, bytes, storedAtMs);
    if (item.name.endsWith('.der')) await this.#forget();
    return ok({ bytes, storedAtMs, window: opened.value });
  }

  async #forget(): Promise<void> {
    const chips = (await this.#files.names()).filter((name) => name.endsWith('.der'));
    if (chips.length <= chipsMax) return;
    const aged = await Promise.all(
      chips.map(async (name) => {
        const file = await this.#files.read(name, Number.MAX_SAFE_INTEGER);
        return { name, storedAtMs: file?.storedAtMs ?? 0 };
      }),
    );
    const oldestFirst = aged.toSorted((a, b) => a.storedAtMs - b.storedAtMs);
    for (const { name } of oldestFirst.slice(0, chips.length - chipsMax)) {
      await this.#files.remove(name);
    }
  }

  #problem({ name }: Item, { notBeforeMs, notAfterMs }: Window): Finding | undefined {
    const nowMs = this.#options.nowMs();
    if (nowMs < notBeforeMs) return finding('collateral_not_yet_valid', name);
    return nowMs > notAfterMs ? finding('collateral_expired', name) : undefined;
  }

  #isDue({ storedAtMs, window: { notBeforeMs, notAfterMs } }: Held): boolean {
    const nowMs = this.#options.nowMs();
    const isLate = nowMs >= notAfterMs - (notAfterMs - notBeforeMs) / lastPart;
    return nowMs >= storedAtMs + (isLate ? refreshLateMs : refreshAfterMs);
  }
}

/** A full disk is a problem like a service that is down: it is tried again later. */
function unwritable(): Result<never, Finding> {
  return err(finding('collateral_missing', 'the state folder cannot be written'));
}
