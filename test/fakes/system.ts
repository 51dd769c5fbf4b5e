import { createHash } from 'node:crypto';
import type { System } from '@postern/server/control';

/** A machine whose clock stands still until it is set, whose ids count, and whose randomness repeats. */
export interface FakeSystem extends System {
  atMs: number;
}

export function createFakeSystem(atMs = Date.UTC(2030, 0, 1)): FakeSystem {
  let ids = 0;
  let draws = 0;
  const system: FakeSystem = {
    atMs,
    nowMs: () => system.atMs,
    newId: () => {
      ids += 1;
      return String(ids).padStart(6, '0');
    },
    sha256Hex: (text) => createHash('sha256').update(text).digest('hex'),
    randomBytes: (count) => {
      draws += 1;
      const bytes = createHash('shake256', { outputLength: count }).update(`${draws}`).digest();
      return new Uint8Array(bytes);
    },
  };
  return system;
}
