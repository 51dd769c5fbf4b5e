import { hostname, networkInterfaces } from 'node:os';
import type { GatewayClock, HostFacts } from '../gateway/index.ts';

/** What `/whoami` tells about this machine. */
export function hostFacts(): HostFacts {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside =
    addresses.find((each) => !each.internal && each.family === 'IPv4') ??
    addresses.find((each) => !each.internal);
  return { hostname: hostname(), privateIp: outside?.address };
}

export function createClock(nowMs: () => number): GatewayClock {
  return {
    nowMs,
    monotonicMs: () => performance.now(),
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms);
      timer.unref();
      return { clear: () => clearTimeout(timer) };
    },
  };
}
