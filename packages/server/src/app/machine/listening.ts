import type { Known, ListeningSocket } from '../../ops/index.ts';
import { everyListeningSocket } from '../check/machine.ts';
import { createSight } from '../check/sight.ts';

/** Every TCP socket of this machine that takes connections. */
export function listeningHere(): Promise<Known<readonly ListeningSocket[]>> {
  return everyListeningSocket(createSight({}));
}
