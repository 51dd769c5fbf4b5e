import { resolveSettings } from '@postern/server/app/settings';
import type { Io } from '../output/io.ts';
import { ControlClient } from './control-client.ts';

/** The client for the state folder that flags and variables name. */
export function clientFor(io: Io): ControlClient {
  return new ControlClient(resolveSettings(io.flags, io.env).stateDir);
}
