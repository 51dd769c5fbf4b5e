import process from 'node:process';
import type { Decision, NodePlan } from '@postern/server/app/auto';
import { authKeyOf, prepareRole, readTailscaleEnv, statusFolder } from '@postern/server/app/auto';
import type { JoinSettings } from '@postern/server/app/joining';
import { join, keepToken, keptToken, meshToken } from '@postern/server/app/joining';
import { resolveSettings } from '@postern/server/app/settings';
import type { ExitCode, Invocation, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import type { Io } from '../output/io.ts';
import { backendOf, givenToken, quietLogger, tell } from './join.ts';

/** A container's node is expected to be away no longer than this. */
const leaseSeconds = 30;
/** The door of our own mesh, on loopback. */
const outboundUrl = 'http://127.0.0.1:8091';
const rejoinMs = 5_000;

export const run: Run = async ({ args, options, io }) => {
  const settings = resolveSettings(io.flags, io.env);
  const insecureAnyApp = options['insecureAnyApp'] === true;
  const { decision, configFile, wrote } = await prepareRole(settings, {
    insecureAnyApp,
    isDry: options['dryRun'] === true,
  });
  report(decision, wrote, io);
  if (decision.problems.length > 0) return exitCodes.config;
  if (options['dryRun'] === true) return exitCodes.ok;
  const { stateDir } = settings;
  const flags = {
    ...io.flags,
    state: stateDir,
    ...(configFile === undefined ? {} : { config: configFile }),
  };
  const own: Invocation = {
    args,
    options: {
      log: options['log'] ?? 'json',
      ...(decision.joins ? { join: true } : {}),
    },
    io: { ...io, flags },
  };
  if (decision.node === undefined) return upWith(own);
  const main = decision.roles[0] === 'node' ? meshBeside(decision.node, own) : upWith(own);
  return together(main, stayJoined(decision.node, stateDir, io));
};

async function upWith(invocation: Invocation): Promise<ExitCode> {
  return (await import('./up.ts')).run(invocation);
}

/** The mesh beside a node that needs it; a node with a key needs nothing but itself. */
async function meshBeside(node: NodePlan, own: Invocation): Promise<ExitCode | undefined> {
  if (node.via.kind !== 'mesh') return undefined;
  return (await import('./mesh/run.ts')).run(own);
}

/** Both run until a signal; whoever ends first with a reason ends the other. */
async function together(
  main: Promise<ExitCode | undefined>,
  joined: Promise<ExitCode>,
): Promise<ExitCode> {
  const first = await Promise.race([main, joined]);
  if (first !== undefined && first !== exitCodes.ok) {
    process.kill(process.pid, 'SIGTERM');
    await Promise.all([main, joined]);
    return first;
  }
  await main;
  return joined;
}

/** Joins again and again: in a container nobody is there to start it anew. */
async function stayJoined(node: NodePlan, stateDir: string, io: Io): Promise<ExitCode> {
  const ending = new AbortController();
  const onSignal = (): void => ending.abort();
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  const settings = await settingsOf(node, stateDir, io);
  if (typeof settings === 'string') {
    io.err(settings);
    return exitCodes.config;
  }
  const token = await givenToken({}, io);
  if (!token.ok) {
    io.err(token.error);
    return exitCodes.config;
  }
  const { via } = node;
  if (via.kind === 'mesh') await keepToken(stateDir, meshToken(via.appId, via.port));
  else if (token.value !== undefined) await keepToken(stateDir, token.value);
  while (!ending.signal.aborted) {
    const ended = await join({
      settings,
      credential: () => keptToken(stateDir),
      daemon: 'any',
      stateDir,
      env: io.env,
      logger: quietLogger(),
      say: (event) => tell(event, io),
      signal: ending.signal,
    });
    if (ended.kind !== 'failed') break;
    io.err(`${ended.message} Trying again.`);
    await new Promise<void>((done) => {
      const timer = setTimeout(done, rejoinMs);
      ending.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        done();
      });
    });
  }
  return exitCodes.ok;
}

async function settingsOf(
  node: NodePlan,
  stateDir: string,
  io: Io,
): Promise<JoinSettings | string> {
  const backend = backendOf(node.backend);
  if (backend === undefined) return `MESH_BACKEND=${node.backend}: write HOST:PORT`;
  const tailscale = readTailscaleEnv(io.env);
  const authKey = tailscale.authKey === undefined ? undefined : await authKeyOf(tailscale);
  if (authKey?.ok === false) return authKey.error;
  return {
    server: node.via.kind === 'direct' ? node.via.server : outboundUrl,
    name: tailscale.hostname ?? node.name,
    type: node.type,
    backend,
    leaseSeconds,
    metadata: {},
    acceptDns: tailscale.acceptDns,
    statusFolder: await statusFolder(node.statusFolder, stateDir),
    ...(node.uuid === undefined ? {} : { uuid: node.uuid }),
    ...(authKey === undefined ? {} : { authKey: authKey.value }),
    ...(node.loginServer === undefined ? {} : { loginServer: node.loginServer }),
  };
}

function report(decision: Decision, wrote: readonly string[], io: Io): void {
  const { roles, reasons, problems } = decision;
  if (io.json) return io.outJson({ roles, reasons, problems, wrote });
  io.err(`role: ${roles.join(' and ')}`);
  for (const reason of reasons) io.err(`  ${reason}`);
  for (const each of wrote) io.err(`  wrote ${each}`);
  for (const problem of problems) io.err(`  cannot start: ${problem}`);
}
