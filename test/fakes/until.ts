import { assert } from '@postern/core/base';

/** Looks every two milliseconds until it holds; five seconds say only that something hangs. */
export async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!holds()) {
    assert(performance.now() < end, 'it happens in time');
    // oxlint-disable-next-line no-await-in-loop -- looks again
    await pause(2);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
