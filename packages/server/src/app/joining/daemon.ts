import { rm } from 'node:fs/promises';
import path from 'node:path';
import { err, ok } from '@postern/core/base';
import {
  askLocalNode,
  askStatusText,
  endForward,
  forwardTcp,
  joinLocalNode,
  logOutLocalNode,
  meetPeers,
} from '../../adapters/identity-serve/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { ChosenPlace } from '../network/gateway-place.ts';
import { choosePlace, startOwn } from '../network/gateway-place.ts';
import type { NodeDaemon, OpenDaemon } from './ports.ts';
import { joinFolder } from './steps.ts';

/** Which tailscaled may be used: that of the machine, a child of ours, or the first that fits. */
export type DaemonChoice = 'existing' | 'own' | 'any';

export interface DaemonOptions {
  readonly choice: DaemonChoice;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
}

/** The daemons of this machine. One of ours keeps its state in the folder of the join. */
export function localDaemons({ choice, stateDir, env, logger }: DaemonOptions): OpenDaemon {
  const folder = joinFolder(stateDir);
  return async ({ loginServer, kind }) => {
    const common = { stateDir: folder, env, logger, server: loginServer };
    const wanted = choice === 'any' ? (kind ?? 'any') : choice;
    if (wanted === 'own') {
      const started = await startOwn(common);
      return started.ok ? ok(daemonOf(started.value, folder)) : started;
    }
    // Without a network to log in to, only a daemon that is on one already is of use.
    const join = wanted === 'any' && loginServer !== undefined ? 'start' : 'existing';
    const mayLogIn = loginServer !== undefined;
    const chosen = await choosePlace({ ...common, join, mayLogIn }, undefined);
    return chosen.ok ? ok(daemonOf(chosen.value, folder)) : err(wordsOf(chosen.error, choice));
  };
}

function wordsOf(problem: string, choice: DaemonChoice): string {
  return problem.startsWith('no tailscaled runs')
    ? `no tailscaled runs on this machine${choice === 'existing' ? ' (--tailscaled own starts one)' : ', and none can be started without a network to join'}`
    : problem;
}

function daemonOf({ place, daemon }: ChosenPlace, folder: string): NodeDaemon {
  return {
    kind: daemon === undefined ? 'existing' : 'own',
    ask: async () => {
      const problem = daemon?.problem();
      return problem === undefined ? askLocalNode(place) : err(problem);
    },
    statusText: () => askStatusText(place),
    logIn: (request) => joinLocalNode(place, request),
    logOut: () => logOutLocalNode(place),
    meetPeers: (withinMs) => meetPeers(place, withinMs),
    forward: (rule) => forwardTcp(place, rule),
    endForward: (rule) => endForward(place, rule),
    close: async () => daemon?.stop(),
    erase: async () => {
      if (daemon === undefined) return;
      await rm(path.join(folder, 'tailscaled'), { recursive: true, force: true });
    },
  };
}
