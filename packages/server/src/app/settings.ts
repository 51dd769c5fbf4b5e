import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import type { InheritedSocket } from '../adapters/service-systemd/index.ts';
import { inheritedSockets } from '../adapters/service-systemd/index.ts';

/** What flags and variables say. Neither is a configuration file: with these alone the local operator counts. */
export interface Settings {
  readonly stateDir: string;
  /** The file to read; undefined in zero-config. */
  readonly configFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Address overrides by listener, and who says so. */
  readonly addresses: Readonly<
    Partial<
      Record<'gateway' | 'admin' | 'control', { readonly text: string; readonly from: string }>
    >
  >;
  /** `--url`: where machines find the embedded engine. */
  readonly url: string | undefined;
  /** `--join`, or `POSTERN_JOIN`: how this process is on the network itself. */
  readonly join: 'existing' | 'start' | 'off' | undefined;
  /** Sockets that the service manager opened for us, by the kind of listener. */
  readonly inherited: readonly InheritedSocket[];
}

export interface SettingFlags {
  readonly state?: string;
  readonly config?: string;
  readonly port?: string;
  readonly url?: string;
  readonly join?: boolean;
}

const systemConfigFile = '/etc/postern/postern.hujson';

export function resolveSettings(flags: SettingFlags, given: Settings['env']): Settings {
  // A variable that is set to nothing is how compose files and unit files unset one.
  const env = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
  const stateDir = path.resolve(flags.state ?? env['POSTERN_STATE'] ?? defaultStateDir(env));
  const gateway = gatewayAddress(flags, env);
  const admin = env['POSTERN_ADMIN_ADDR'];
  const control = env['POSTERN_CONTROL_ADDR'];
  return {
    stateDir,
    configFile: configFile(flags, env, stateDir),
    env: given,
    addresses: {
      ...(gateway === undefined ? {} : { gateway }),
      ...(admin === undefined ? {} : { admin: { text: admin, from: 'POSTERN_ADMIN_ADDR' } }),
      ...(control === undefined
        ? {}
        : { control: { text: control, from: 'POSTERN_CONTROL_ADDR' } }),
    },
    url: flags.url ?? env['POSTERN_URL'],
    join: flags.join === true ? 'start' : joinOf(env['POSTERN_JOIN']),
    inherited: inheritedSockets(env, process.pid),
  };
}

function joinOf(text: string | undefined): Settings['join'] {
  return text === 'existing' || text === 'start' || text === 'off' ? text : undefined;
}

function gatewayAddress(
  flags: SettingFlags,
  env: Settings['env'],
): { text: string; from: string } | undefined {
  if (flags.port !== undefined) return { text: flags.port, from: '--port' };
  const address = env['POSTERN_GATEWAY_ADDR'];
  if (address !== undefined) return { text: address, from: 'POSTERN_GATEWAY_ADDR' };
  const port = env['PORT'];
  return port === undefined ? undefined : { text: port, from: 'PORT' };
}

/** The XDG state folder, `~/.local/state/postern`; as a service systemd names it. */
function defaultStateDir(env: Settings['env']): string {
  const systemd = env['STATE_DIRECTORY']?.split(':', 1)[0];
  if (systemd !== undefined && systemd !== '') return systemd;
  const base = env['XDG_STATE_HOME'];
  return path.join(
    base !== undefined && path.isAbsolute(base) ? base : path.join(homedir(), '.local', 'state'),
    'postern',
  );
}

/** A named file must exist; the usual places count when they do. Never the current folder. */
function configFile(
  flags: SettingFlags,
  env: Settings['env'],
  stateDir: string,
): string | undefined {
  const named = flags.config ?? env['POSTERN_CONFIG'];
  if (named !== undefined && named !== '') return path.resolve(named);
  return [path.join(stateDir, 'postern.hujson'), systemConfigFile].find((file) => existsSync(file));
}

/** The policy that nobody has applied yet: beside the configuration file, else in the state folder. */
export function policyFileOf({
  configFile: file,
  stateDir,
}: Pick<Settings, 'configFile' | 'stateDir'>): string {
  return path.join(file === undefined ? stateDir : path.dirname(file), 'policy.hujson');
}

/** Where attestation collateral is stored: the command line puts it there, a running Postern keeps it current. */
export function collateralFolder(stateDir: string, vendor: 'intel' | 'amd'): string {
  return path.join(stateDir, 'collateral', vendor);
}

export { backUpControlKey, controlKeyBackup, restoreControlKey } from './network/key-backup.ts';
