import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Secret } from '@postern/core/base';
import type { Progress } from '../../ops/index.ts';

const evidenceEnding = '.evidence';
const progressEnding = '.progress.json';
const idPattern = /^inc_[0-9A-Za-z-]{1,64}$/;

/** Evidence, the progress of runs that were broken off, and new secrets for their owners: one folder of the state. */
export class IncidentFiles {
  readonly #dir: string;

  constructor(stateDir: string) {
    this.#dir = path.join(stateDir, 'incidents');
  }

  /** Where the evidence of an incident is, whether or not it is there. */
  fileOf(id: string): string {
    return path.join(this.#dir, `${id}${evidenceEnding}`);
  }

  async keepEvidence(id: string, note: string): Promise<string> {
    const file = this.fileOf(id);
    await this.#replace(file, note);
    await rm(path.join(this.#dir, `${id}${progressEnding}`), { force: true });
    return file;
  }

  async readEvidence(id: string): Promise<string | undefined> {
    return idPattern.test(id)
      ? readFile(this.fileOf(id), 'utf8').catch(() => undefined)
      : undefined;
  }

  /** Ids of the evidence that is kept, in the order of their times. */
  async list(): Promise<readonly string[]> {
    const names = await readdir(this.#dir).catch(() => []);
    return names
      .filter((name) => name.endsWith(evidenceEnding))
      .map((name) => name.slice(0, -evidenceEnding.length))
      .toSorted();
  }

  async saveProgress(id: string, step: string, progress: Progress): Promise<void> {
    const file = path.join(this.#dir, `${id}${progressEnding}`);
    await this.#replace(file, JSON.stringify({ step, progress }));
  }

  /** Of a run of this step that was broken off. */
  async readProgress(id: string, step: string): Promise<Progress | undefined> {
    if (!idPattern.test(id)) return undefined;
    try {
      const text = await readFile(path.join(this.#dir, `${id}${progressEnding}`), 'utf8');
      // Only this class writes there, and a rename is whole or not at all.
      const kept = JSON.parse(text) as { step: string; progress: Progress };
      return kept.step === step ? kept.progress : undefined;
    } catch {
      return undefined;
    }
  }

  /** Appends `name secret` lines to a file that only this user reads; whoever hands them out removes it. */
  async hand(
    id: string,
    secrets: readonly { readonly name: string; readonly secret: Secret }[],
  ): Promise<string> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const file = path.join(this.#dir, `${id}.secrets`);
    const lines = secrets.map(({ name, secret }) => `${name} ${secret.reveal()}\n`).join('');
    await appendFile(file, lines, { mode: 0o600 });
    return file;
  }

  async #replace(file: string, text: string): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const aside = `${file}.new`;
    await writeFile(aside, text, { mode: 0o600, flush: true });
    await rename(aside, file);
  }
}
