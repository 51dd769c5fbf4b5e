import type { StreamEvent } from './model.ts';

export type BlockEvent = Extract<StreamEvent, { readonly index: number }>;

/**
 * Puts the events of blocks that interleave in order, one block after the other: client libraries take a delta or a
 * stop for the last block's, whatever its index says. What belongs to a later block waits until the open one stops.
 */
export class BlockOrder {
  #open: number | undefined;
  readonly #waiting = new Map<number, BlockEvent[]>();

  /** The events that may be written now. */
  take(event: BlockEvent): readonly BlockEvent[] {
    const isNext = this.#open === undefined && event.kind === 'block-start';
    if (!isNext && this.#open !== event.index) {
      const queue = this.#waiting.get(event.index);
      if (queue === undefined) this.#waiting.set(event.index, [event]);
      else queue.push(event);
      return [];
    }
    this.#pass(event);
    return event.kind === 'block-stop' ? [event, ...this.#drain()] : [event];
  }

  /** What waited, block by block in the order of their starts, until one of them is still open. */
  #drain(): readonly BlockEvent[] {
    const ready: BlockEvent[] = [];
    for (const [index, queue] of this.#waiting) {
      if (this.#open !== undefined) break;
      this.#waiting.delete(index);
      for (const event of queue) {
        this.#pass(event);
        ready.push(event);
      }
    }
    return ready;
  }

  #pass(event: BlockEvent): void {
    if (event.kind === 'block-start') this.#open = event.index;
    else if (event.kind === 'block-stop') this.#open = undefined;
  }
}
