import { coordinationLimits } from './limits.ts';

/** Who sends a body. */
export interface BodySender {
  readonly source: string;
  /** A machine that was let in once. */
  readonly isKnown: boolean;
}

/** Room for one body; given back when it is read or over. */
export interface BodyRoom {
  /** Whether so many more bytes have room. */
  take(bytes: number): boolean;
  release(): void;
}

/**
 * What all bodies under way may hold. Machines that are not known have a small share, and one source of them a smaller
 * one: whoever can reach the server can fill that, and keeps nobody out who is in already.
 */
export class BodyBudget {
  #known = 0;
  #strangers = 0;
  readonly #bySource = new Map<string, number>();

  get bytes(): number {
    return this.#known + this.#strangers;
  }

  open({ source, isKnown }: BodySender): BodyRoom {
    let held = 0;
    const bytesMax = isKnown
      ? coordinationLimits.bodyBytesMax
      : coordinationLimits.strangerBodyBytesMax;
    return {
      take: (bytes) => {
        if (held + bytes > bytesMax || !this.#hasRoom(bytes, source, isKnown)) return false;
        held += bytes;
        this.#add(bytes, source, isKnown);
        return true;
      },
      release: () => {
        this.#add(-held, source, isKnown);
        held = 0;
      },
    };
  }

  #hasRoom(bytes: number, source: string, isKnown: boolean): boolean {
    const { bodiesBytesMax, strangerBodiesBytesMax, strangerBodiesPerSourceMax } =
      coordinationLimits;
    if (isKnown) return this.#known + bytes <= bodiesBytesMax;
    const ofSource = this.#bySource.get(source) ?? 0;
    return (
      this.#strangers + bytes <= strangerBodiesBytesMax &&
      ofSource + bytes <= strangerBodiesPerSourceMax
    );
  }

  #add(bytes: number, source: string, isKnown: boolean): void {
    if (isKnown) {
      this.#known += bytes;
      return;
    }
    this.#strangers += bytes;
    const left = (this.#bySource.get(source) ?? 0) + bytes;
    if (left <= 0) this.#bySource.delete(source);
    else this.#bySource.set(source, left);
  }
}
