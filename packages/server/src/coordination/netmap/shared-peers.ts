import type { Bits } from './bits.ts';
import type { Machine } from './machine.ts';
import type { UserProfile } from './node-text.ts';

/** What the texts are made from. */
export interface PeerTexts {
  /** Changes whenever any text may have changed. */
  readonly textsVersion: number;
  peerText(machine: Machine): string;
  profile(machine: Machine): UserProfile;
}

interface Made {
  readonly version: number;
  /** Every machine's text with a comma behind it. */
  readonly bytes: Buffer;
  readonly spans: ReadonlyMap<number, readonly [start: number, end: number]>;
  readonly profiles: string;
}

/** Groups of machines that all know each other: most networks have few. */
const groupsMax = 8;
const nothing = Buffer.alloc(0);

/**
 * Machines that know the same ones share their text: in a group each is told all of it but itself. Made once for a
 * group and not for each machine, or a thousand that come back together would cost a million texts.
 */
export class SharedPeers {
  readonly #texts: PeerTexts;
  readonly #groups = new Map<string, Made>();

  constructor(texts: PeerTexts) {
    this.#texts = texts;
  }

  /** The elements of `Peers` without the brackets, and the profiles of their owners and its own. */
  of(
    machine: Machine,
    known: Bits,
    machinesAt: (slots: Iterable<number>) => readonly Machine[],
  ): { readonly peers: readonly Buffer[]; readonly profiles: string } {
    const all = known.copy();
    all.add(machine.slot);
    const { bytes, spans, profiles } = this.#group(all, machinesAt);
    const [start, end] = spans.get(machine.slot) ?? [0, 0];
    const isLast = end === bytes.length;
    const before = bytes.subarray(0, isLast ? Math.max(0, start - 1) : start);
    const after = isLast ? nothing : bytes.subarray(end, bytes.length - 1);
    return { peers: [before, after], profiles };
  }

  #group(all: Bits, machinesAt: (slots: Iterable<number>) => readonly Machine[]): Made {
    const key = all.key();
    const version = this.#texts.textsVersion;
    const made = this.#groups.get(key);
    if (made?.version === version) return made;
    const fresh = this.#make(machinesAt(all.numbers()), version);
    this.#groups.delete(key);
    const [oldest] = this.#groups.keys();
    if (this.#groups.size >= groupsMax && oldest !== undefined) this.#groups.delete(oldest);
    this.#groups.set(key, fresh);
    return fresh;
  }

  #make(machines: readonly Machine[], version: number): Made {
    const spans = new Map<number, readonly [number, number]>();
    const profiles = new Map<number, UserProfile>();
    let at = 0;
    const parts = machines.map((machine) => {
      const part = Buffer.from(`${this.#texts.peerText(machine)},`, 'utf8');
      spans.set(machine.slot, [at, at + part.length]);
      at += part.length;
      const profile = this.#texts.profile(machine);
      profiles.set(profile.ID, profile);
      return part;
    });
    const text = JSON.stringify([...profiles.values()]);
    return { version, bytes: Buffer.concat(parts), spans, profiles: text };
  }
}
