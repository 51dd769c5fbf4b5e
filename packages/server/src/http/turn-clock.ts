/**
 * A clock that is read once in a turn of the event loop: a request asks for the time half a dozen times, and each read
 * of the system's costs as much as finding its route. What it says is as old as the work of this turn at the most.
 */
export function turnClock(nowMs: () => number): () => number {
  let readMs = 0;
  let isRead = false;
  const forget = (): void => {
    isRead = false;
  };
  return () => {
    if (isRead) return readMs;
    isRead = true;
    readMs = nowMs();
    setImmediate(forget);
    return readMs;
  };
}

/** Monotonic milliseconds as of this turn: for what is over in seconds, not for what is measured. */
export const turnMs: () => number = turnClock(() => performance.now());
