import type { Config } from '@postern/core/contract';
import { defaultConfig } from '@postern/core/contract/defaults';
import type { Egress } from '../http/index.ts';
import type { Logger } from '../observe/index.ts';
import { parseAddress } from './addresses.ts';
import type { Detected } from './detect.ts';
import { detectProviders } from './detect.ts';
import type { Settings } from './settings.ts';

export const gatewayPort = 8_080;

/** The port on which we answer ourselves: no model server is looked for there. */
export function ownPort(settings: Settings): number {
  const text = settings.addresses.gateway?.text;
  const parsed = text === undefined ? undefined : parseAddress(text);
  return parsed?.ok === true ? (parsed.value[0]?.port ?? gatewayPort) : gatewayPort;
}

/** What this machine and its variables offer; what was named but cannot be used is one line each. */
export async function detect(
  settings: Settings,
  egress: Egress,
  logger: Logger,
): Promise<readonly Detected[]> {
  const found = await detectProviders({ env: settings.env, egress, ownPort: ownPort(settings) });
  for (const problem of found.problems) logger.warn({ problem }, 'provider not usable');
  return found.detected;
}

/** The configuration of a start without a file. */
export function zeroConfig(detected: readonly Detected[]): Config {
  return {
    ...defaultConfig,
    providers: Object.fromEntries(detected.map(({ id, config }) => [id, config])),
  };
}
