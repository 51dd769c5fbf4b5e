import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Hostinfo } from '../protocol/hostinfo.ts';
import { fieldsOf, numberAt, parseFields, textAt, textsAt } from '../protocol/read.ts';
import { coordinationLimits } from '../limits.ts';
import type { CoordinationLog } from '../ports.ts';

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

/**
 * Reports by node id, kept in one file beside the journal: after a restart peers must know each other's keys before
 * everyone has reconnected, or their connections would break.
 */
export class Reports {
  readonly #file: string;
  readonly #log: CoordinationLog;
  readonly #byId = new Map<string, Report>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(folder: string, log: CoordinationLog) {
    this.#file = path.join(folder, 'reports.json');
    this.#log = log;
  }

  async load(): Promise<void> {
    await mkdir(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.#file);
    } catch {
      return;
    }
    const saved = parseFields(bytes);
    if (saved === undefined) {
      this.#log.warn(
        { file: this.#file },
        'reports of machines cannot be read; they will report again',
      );
      return;
    }
    for (const [id, value] of Object.entries(saved)) {
      const report = readReport(value);
      if (report !== undefined) this.#byId.set(id, report);
    }
  }

  get(id: string): Report | undefined {
    return this.#byId.get(id);
  }

  set(id: string, report: Report): void {
    this.#byId.set(id, report);
    this.#schedule();
  }

  delete(id: string): void {
    if (this.#byId.delete(id)) this.#schedule();
  }

  async close(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#write();
    }
    await this.#writing;
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#write();
    }, writeAfterMs).unref();
  }

  #write(): void {
    const text = JSON.stringify(Object.fromEntries(this.#byId));
    this.#writing = this.#writing
      .then(async () => {
        const fresh = `${this.#file}.new`;
        await writeFile(fresh, text, { mode: fileMode });
        await rename(fresh, this.#file);
      })
      .catch((cause: unknown) => {
        this.#log.warn(
          { file: this.#file, problem: String(cause) },
          'reports of machines are not saved',
        );
      });
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
