/** Thousands of a number are few where it grows slowly; below them there are a thousand texts. */
const low = Array.from({ length: 1_000 }, (_, value) => String(value).padStart(3, '0'));

/**
 * Writes whole numbers of one series that grows slowly (times, places in a log), as `String` does. The engine keeps the
 * text of every number that it writes for a while: a series of new ones makes as many texts that live just long enough to
 * be moved among the old, where only a whole collection finds them.
 */
export function slowDecimals(): (value: number) => string {
  let known = -1;
  let text = '';
  return (value) => {
    if (!Number.isSafeInteger(value) || value < 1_000) return String(value);
    const thousands = Math.floor(value / 1_000);
    if (thousands !== known) {
      known = thousands;
      text = String(thousands);
    }
    return text + low[value - thousands * 1_000];
  };
}
