import { existsSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { LocalApiPlace, LocalNode } from '../../adapters/identity-serve/index.ts';
import { askLocalNode, askLocalServer, findLocalApi } from '../../adapters/identity-serve/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { Daemon } from '../../adapters/tailnet-daemon/index.ts';

/** The daemon through which this process is on the network. */
export interface ChosenPlace {
  readonly place: LocalApiPlace;
  /** Where it is a child of ours. */
  readonly daemon?: Daemon;
}

/** Which tailscaled the gateway may use. */
export interface Choosing {
  /** `start`: a tailscaled of our own where this machine has none that may be used. */
  readonly join: 'existing' | 'start';
  /** The embedded engine's URL: then nobody else's network counts. */
  readonly server: string | undefined;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  /** A daemon of the machine that belongs to nobody may be logged in, though none may be started. */
  readonly mayLogIn?: boolean;
}

const startMsMax = 15_000;
const lookMs = 100;

/** The tailscaled of this machine, where it is on our network or may be; else one of our own, where that is wanted. */
export async function choosePlace(
  options: Choosing,
  own: Daemon | undefined,
): Promise<Result<ChosenPlace, string>> {
  if (own !== undefined) return ownPlace(own);
  const existing = await findLocalApi(process.platform, options.env);
  if (existing !== undefined) {
    const node = await askLocalNode(existing);
    const usable = node.ok ? await isUsable(existing, node.value, options, undefined) : node;
    if (usable.ok) return ok({ place: existing });
    if (options.join !== 'start') return usable;
  }
  if (options.join !== 'start') {
    return err('no tailscaled runs on this machine; --join starts one in userspace mode');
  }
  if (options.server === undefined) {
    return err('there is no network to join: --join needs --url');
  }
  return startOwn(options);
}

/**
 * With the embedded engine only its own network counts: a login of another network is another person, whatever it
 * says. One that belongs to nobody may be logged in, where we were told to join.
 */
export async function isUsable(
  place: LocalApiPlace,
  node: LocalNode,
  { server, join, mayLogIn = join === 'start' }: Pick<Choosing, 'server' | 'join' | 'mayLogIn'>,
  own: Daemon | undefined,
): Promise<Result<undefined, string>> {
  if (server === undefined) return ok(undefined);
  if (node.state === 'NeedsLogin' && (own !== undefined || mayLogIn)) return ok(undefined);
  const belongs = await askLocalServer(place);
  if (!belongs.ok) return belongs;
  if (originOf(belongs.value) === originOf(server)) return ok(undefined);
  const theirs = belongs.value === '' ? 'another network' : belongs.value;
  return err(`the local tailscaled belongs to ${theirs}, not to ${server}`);
}

function originOf(text: string): string {
  return URL.canParse(text) ? new URL(text).origin : text;
}

/** Starts a tailscaled of our own, in the state folder. */
export async function startOwn(
  options: Pick<Choosing, 'stateDir' | 'env' | 'logger'>,
): Promise<Result<ChosenPlace, string>> {
  const { findTailscaledProgram, startDaemon } = await import(
    '../../adapters/tailnet-daemon/index.ts'
  );
  const program = findTailscaledProgram(options.env);
  if (program === undefined) {
    return err('tailscaled is not installed (not on the PATH), so none can be started');
  }
  const started = await startDaemon(program, {
    folder: path.join(options.stateDir, 'tailscaled'),
    env: options.env,
    log: options.logger,
  });
  return started.ok ? ownPlace(started.value) : started;
}

/** Waits until it answers. */
async function ownPlace(daemon: Daemon): Promise<Result<ChosenPlace, string>> {
  const place = { kind: 'socket', path: daemon.socket } as const;
  for (let waitedMs = 0; waitedMs < startMsMax; waitedMs += lookMs) {
    const problem = daemon.problem();
    if (problem !== undefined) return err(problem);
    if (existsSync(daemon.socket) && (await askLocalNode(place)).ok) return ok({ place, daemon });
    await new Promise((resolve) => {
      setTimeout(resolve, lookMs);
    });
  }
  return err('our own tailscaled does not answer');
}
