/** A growing set of small numbers: who knows whom, one bit a pair. */
export class Bits {
  #words: Uint32Array;

  constructor(words: Uint32Array = new Uint32Array(0)) {
    this.#words = words;
  }

  static of(numbers: Iterable<number>): Bits {
    const bits = new Bits();
    for (const number of numbers) bits.add(number);
    return bits;
  }

  has(number: number): boolean {
    return (((this.#words[number >>> 5] ?? 0) >>> (number & 31)) & 1) === 1;
  }

  add(number: number): void {
    const at = number >>> 5;
    if (at >= this.#words.length) {
      const grown = new Uint32Array(Math.max(at + 1, this.#words.length * 2));
      grown.set(this.#words);
      this.#words = grown;
    }
    this.#words[at] = (this.#words[at] ?? 0) | (1 << (number & 31));
  }

  delete(number: number): void {
    const at = number >>> 5;
    if (at < this.#words.length) this.#words[at] = (this.#words[at] ?? 0) & ~(1 << (number & 31));
  }

  /** Equal for equal sets that grew alike; sets that are equal may have two. */
  key(): string {
    const { buffer, byteOffset, byteLength } = this.#words;
    return Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
  }

  copy(): Bits {
    return new Bits(this.#words.slice());
  }

  *numbers(): Generator<number> {
    for (let at = 0; at < this.#words.length; at += 1) {
      let word = this.#words[at] ?? 0;
      while (word !== 0) {
        const bit = 31 - Math.clz32(word & -word);
        yield at * 32 + bit;
        word &= word - 1;
      }
    }
  }
}
