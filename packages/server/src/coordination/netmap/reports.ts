import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Hostinfo } from '../protocol/hostinfo.ts';
import { fieldsOf, numberAt, parseFields, textAt, textsAt } from '../protocol/read.ts';
import { coordinationLimits } from '../limits.ts';
import type { CoordinationLog, ReportStore } from '../ports.ts';

/** What a machine last said about itself. No decision of anybody, so not in the journal. */
export interface Report {
  readonly version: number;
  readonly discoKey: string;
  readonly endpoints: readonly string[];
  readonly derp: number;
  readonly hostinfo: Hostinfo;
  readonly lastSeenMs: number;
}

export const emptyHostinfo: Hostinfo = Object.freeze({
  hostname: '',
  os: '',
  osVersion: '',
  clientVersion: '',
  routes: Object.freeze([]),
  requestTags: Object.freeze([]),
  preferredDerp: 0,
  peerText: '{}',
});

/** A change is on disk after this long: a kill loses a second of reports, which clients send again. */
const writeAfterMs = 1_000;
const fileMode = 0o600;

/** Reports by node id: after a restart peers must know each other's keys before everyone has reconnected. */
export class Reports {
  readonly #store: ReportStore;
  readonly #log: CoordinationLog;
  readonly #byId = new Map<string, Report>();
  #changed = new Map<string, Report | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(store: ReportStore, log: CoordinationLog) {
    this.#store = store;
    this.#log = log;
  }

  /** Takes over what is saved; returns whether anything came. */
  async load(): Promise<boolean> {
    const saved = await this.#store.load();
    if (!saved.ok) {
      this.#log.warn({ problem: saved.error }, 'reports of machines cannot be read');
      return false;
    }
    for (const [id, value] of saved.value) {
      const report = readReport(value);
      if (report !== undefined) this.#byId.set(id, report);
    }
    return saved.value.size > 0;
  }

  get(id: string): Report | undefined {
    return this.#byId.get(id);
  }

  set(id: string, report: Report): void {
    this.#byId.set(id, report);
    this.#note(id, report);
  }

  delete(id: string): void {
    if (this.#byId.delete(id)) this.#note(id, undefined);
  }

  async close(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#write();
    }
    await this.#writing;
  }

  #note(id: string, report: Report | undefined): void {
    this.#changed.set(id, report);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#write();
    }, writeAfterMs).unref();
  }

  #write(): void {
    const changed = this.#changed;
    this.#changed = new Map();
    this.#writing = this.#writing.then(async () => {
      const saved = await this.#store.save(changed, this.#byId);
      if (saved.ok) return;
      this.#log.warn({ problem: saved.error }, 'reports of machines are not saved');
      // With the next ones, unless something newer was said since.
      for (const [id, report] of changed) if (!this.#changed.has(id)) this.#changed.set(id, report);
    });
  }
}

/** One file beside the journal, written whole. */
export class ReportFile implements ReportStore {
  readonly #file: string;

  constructor(folder: string) {
    this.#file = path.join(folder, 'reports.json');
  }

  async load(): Promise<Result<ReadonlyMap<string, unknown>, string>> {
    await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.#file);
    } catch {
      return ok(new Map());
    }
    const saved = parseFields(bytes);
    return saved === undefined
      ? err(`${this.#file} is damaged; machines will report again`)
      : ok(new Map(Object.entries(saved)));
  }

  async save(
    _changed: ReadonlyMap<string, object | undefined>,
    all: ReadonlyMap<string, object>,
  ): Promise<Result<void, string>> {
    const text = JSON.stringify(Object.fromEntries(all));
    const fresh = `${this.#file}.new`;
    try {
      await writeFile(fresh, text, { mode: fileMode });
      await rename(fresh, this.#file);
      return ok(undefined);
    } catch (cause) {
      return err(`${this.#file}: ${String(cause)}`);
    }
  }
}

function readReport(value: unknown): Report | undefined {
  const fields = fieldsOf(value);
  const info = fields === undefined ? undefined : fieldsOf(fields['hostinfo']);
  if (fields === undefined || info === undefined) return undefined;
  const peerText = textAt(info, 'peerText', coordinationLimits.hostinfoCharsMax);
  return {
    version: numberAt(fields, 'version'),
    discoKey: textAt(fields, 'discoKey'),
    endpoints: textsAt(fields, 'endpoints', coordinationLimits.endpointsMax),
    derp: numberAt(fields, 'derp'),
    lastSeenMs: numberAt(fields, 'lastSeenMs'),
    hostinfo: {
      hostname: textAt(info, 'hostname'),
      os: textAt(info, 'os'),
      osVersion: textAt(info, 'osVersion'),
      clientVersion: textAt(info, 'clientVersion'),
      routes: textsAt(info, 'routes', 1_000),
      requestTags: textsAt(info, 'requestTags', 64),
      preferredDerp: numberAt(info, 'preferredDerp'),
      peerText: isJson(peerText) ? peerText : '{}',
    },
  };
}

function isJson(text: string): boolean {
  return parseFields(Buffer.from(text, 'utf8')) !== undefined;
}
