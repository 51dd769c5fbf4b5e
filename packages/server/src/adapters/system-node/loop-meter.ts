/** Tells the part of the time since it was asked last, 0 to 1, in which the loop of this thread had something to do. */
export function loopMeter(): () => number {
  let seen = performance.eventLoopUtilization();
  return () => {
    const before = seen;
    seen = performance.eventLoopUtilization();
    return performance.eventLoopUtilization(seen, before).utilization;
  };
}
