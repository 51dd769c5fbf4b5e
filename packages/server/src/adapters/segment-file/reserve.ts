import { open } from 'node:fs/promises';
import { writeAll } from './files.ts';

/** Zeros in pieces: `truncate` alone would make a hole, which holds no space. */
const pieceBytes = 1_048_576;

/** Space on the disk that is kept for when there is none. */
export class Reserve {
  readonly #file: string;
  readonly #bytes: number;

  constructor(file: string, bytes: number) {
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Takes the space; throws as the file system does where there is not enough. */
  async take(): Promise<void> {
    const handle = await open(this.#file, 'a+', 0o600).then(async (made) => {
      await made.close();
      return open(this.#file, 'r+');
    });
    try {
      const { size } = await handle.stat();
      const zeros = new Uint8Array(Math.min(pieceBytes, this.#bytes));
      for (let at = size; at < this.#bytes; at += zeros.length) {
        await writeAll(handle, [zeros.subarray(0, Math.min(zeros.length, this.#bytes - at))], at);
      }
      if (size < this.#bytes) await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Gives the space back to whoever writes next: that is the log. */
  async release(): Promise<void> {
    const handle = await open(this.#file, 'w', 0o600);
    await handle.close();
  }
}
