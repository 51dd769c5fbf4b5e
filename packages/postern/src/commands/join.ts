import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { DaemonChoice, JoinEvent, JoinSettings } from '@postern/server/app/joining';
import { join, keepToken, keptToken, meshToken } from '@postern/server/app/joining';
import { resolveSettings } from '@postern/server/app/settings';
import { createLogger } from '@postern/server/observe';
import type { Invocation, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import type { Io } from '../output/io.ts';
import { createLineWriter } from '../output/line-writer.ts';

type Options = Invocation['options'];

const daemons: readonly string[] = ['existing', 'own', 'any'] satisfies readonly DaemonChoice[];

export const run: Run = async ({ options, io }) => {
  const { stateDir } = resolveSettings(io.flags, io.env);
  const settings = settingsOf(options);
  if (!settings.ok) {
    io.err(settings.error);
    return exitCodes.usage;
  }
  const choice = textOf(options['tailscaled']) ?? 'any';
  if (!daemons.includes(choice)) {
    io.err('--tailscaled takes existing, own or any.');
    return exitCodes.usage;
  }
  const token = options['attest'] === true ? attested(options) : await givenToken(options, io);
  if (!token.ok) {
    io.err(token.error);
    return exitCodes.usage;
  }
  if (token.value !== undefined) await keepToken(stateDir, token.value);
  const ending = new AbortController();
  const onSignal = (): void => ending.abort();
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  const ended = await join({
    settings: settings.value,
    credential: () => keptToken(stateDir),
    // It is one of them: that was just looked at.
    daemon: choice as DaemonChoice,
    stateDir,
    env: io.env,
    logger: quietLogger(),
    say: (event) => tell(event, io),
    signal: ending.signal,
  });
  process.off('SIGTERM', onSignal);
  process.off('SIGINT', onSignal);
  if (ended.kind !== 'failed') return exitCodes.ok;
  io.err(ended.message);
  return exitCodes.failed;
};

/** Our own way out of the mesh, which proves what this machine runs. */
const meshDoor = 'http://127.0.0.1:8091';
const registryPort = 443;

function attested(options: Options): Result<string, string> {
  const app = textOf(options['serverApp'])?.toLowerCase() ?? '';
  return /^[0-9a-f]{40}$/.test(app)
    ? ok(meshToken(app, registryPort))
    : err('--attest needs --server-app, the app id of the registry (40 hexadecimal digits).');
}

/** What this machine is called and serves, from flags alone. */
function settingsOf(options: Options): Result<JoinSettings, string> {
  const server = textOf(options['server']) ?? (options['attest'] === true ? meshDoor : undefined);
  const type = textOf(options['type']);
  const backend = backendOf(textOf(options['backend']));
  if (
    server === undefined ||
    !URL.canParse(server) ||
    !/^https?:$/.test(new URL(server).protocol)
  ) {
    return err('--server takes the URL of the registry, such as http://gateway:8000.');
  }
  if (type === undefined) return err('--type says what this machine serves, such as instant.');
  if (backend === undefined) {
    return err('--backend takes HOST:PORT or PORT of what serves here, such as 127.0.0.1:8000.');
  }
  const lease = Number(textOf(options['lease']) ?? '15');
  if (!(lease >= 3 && lease <= 3_600)) return err('--lease takes seconds from 3 to 3600.');
  const status = textOf(options['statusFolder']);
  const name = (textOf(options['name']) ?? hostname()).toLowerCase();
  if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) {
    return err(`--name: ${name} is no name of a machine (letters, digits and dashes, at most 63).`);
  }
  return ok({
    server: new URL(server).origin,
    name,
    type,
    backend,
    leaseSeconds: lease,
    metadata: {},
    acceptDns: options['acceptDns'] === true,
    ...(status === undefined ? {} : { statusFolder: status }),
  });
}

/** `HOST:PORT`, `[V6]:PORT` or a port of this machine. */
export function backendOf(text: string | undefined): { host: string; port: number } | undefined {
  const match =
    /^(?:(?:(?<host>[A-Za-z0-9._-]+)|\[(?<six>[0-9A-Fa-f:.]+)\]):)?(?<port>\d{1,5})$/.exec(
      text ?? '',
    );
  const port = Number(match?.groups?.['port']);
  if (!(port >= 1 && port <= 65_535)) return undefined;
  return { host: match?.groups?.['host'] ?? match?.groups?.['six'] ?? '127.0.0.1', port };
}

/** The key, from the safest place that names one; undefined: the one of before counts. */
export async function givenToken(
  options: Options,
  { env }: Io,
): Promise<Result<string | undefined, string>> {
  const file = textOf(options['tokenFile']) ?? env['POSTERN_JOIN_TOKEN_FILE'];
  if (file !== undefined && file !== '') {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    return text === undefined ? err(`--token-file: ${file} cannot be read.`) : ok(text.trim());
  }
  const token = textOf(options['token']) ?? env['POSTERN_JOIN_TOKEN'];
  return ok(token === '' ? undefined : token);
}

/** Events for programs on stdout under `--json`; for people the result there and the rest on stderr. */
export function tell(event: JoinEvent, io: Io): void {
  if (io.json) {
    const { kind, message, ...rest } = event;
    io.outJson({ event: kind, message, ...rest });
  } else if (event.kind === 'joined') io.out(`joined: ${event.message}`);
  else io.err(event.message);
}

export function quietLogger(): ReturnType<typeof createLogger> {
  return createLogger({ level: 'warn', format: 'plain', write: createLineWriter(process.stderr) });
}

export function textOf(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
