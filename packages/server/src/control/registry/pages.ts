/** A page as it was sent, for as long as it is true. */
interface Kept {
  readonly version: string;
  /** The first millisecond at which somebody on it may be gone. */
  readonly untilMs: number;
  readonly bytes: Uint8Array;
}

/** All pages together: a thousand types with a hundred nodes each take half of it. */
const bytesMax = 67_108_864;
/** Of the place of a page, besides its text. */
const placeBytes = 1_024;

/** Pages of discovery, written once for everybody who asks before anything on them changes. */
export class Pages {
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  get(key: string, version: string, nowMs: number): Uint8Array | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    if (kept.version === version && nowMs < kept.untilMs) return kept.bytes;
    this.#forget(key, kept);
    return undefined;
  }

  put(key: string, page: Kept): void {
    const before = this.#kept.get(key);
    if (before !== undefined) this.#forget(key, before);
    if (page.bytes.length + placeBytes > bytesMax) return;
    this.#kept.set(key, page);
    this.#bytes += page.bytes.length + placeBytes;
    // The one that was written longest ago goes first.
    for (const [oldest, kept] of this.#kept) {
      if (this.#bytes <= bytesMax) return;
      this.#forget(oldest, kept);
    }
  }

  #forget(key: string, { bytes }: Kept): void {
    this.#kept.delete(key);
    this.#bytes -= bytes.length + placeBytes;
  }
}
