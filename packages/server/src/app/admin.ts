import path from 'node:path';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import { defaultName } from '@postern/core/routing';
import type { AdminGate, RuntimeView } from '../control/api/index.ts';
import { apiPrefix, createAdminApi, honoHandler } from '../control/api/index.ts';
import type { Control } from '../control/index.ts';
import type { HttpHandler, Listener } from '../http/index.ts';
import { parseConfigText } from './config-file.ts';
import type { Deployment } from './deployment.ts';
import type { Detected } from './detect.ts';
import type { Settings } from './settings.ts';

export interface AdminOptions {
  readonly control: Control;
  readonly gateway: HttpHandler;
  readonly deployment: () => Deployment;
  readonly listeners: () => readonly Listener[];
  readonly reload: () => Promise<Result<string, readonly string[]>>;
  readonly isReady: () => boolean;
  readonly onFault: (fault: unknown, requestId: string) => void;
  readonly version: string;
  readonly detected: readonly Detected[];
  readonly settings: Settings;
}

/**
 * The handler of the control socket and of the admin listener: the one admin API under its prefix, the gateway's own
 * routes beside it, so that the command line asks models over the same socket.
 */
export function adminHandler(options: AdminOptions): HttpHandler {
  const { control, deployment } = options;
  const startedAtMs = control.system.nowMs();
  const app = createAdminApi({
    control,
    checkConfig: (text) => {
      const parsed = parseConfigText(text, 'the text');
      return parsed.ok ? [] : parsed.error.map(({ pointer, message }) => ({ pointer, message }));
    },
    backupsDir: path.join(options.settings.stateDir, 'backups'),
    runtime: () => runtimeView(options, startedAtMs),
    reload: options.reload,
    onFault: options.onFault,
  });
  const identify: AdminGate['identify'] = (request) => deployment().identify(request);
  // Who can open the control socket is the user that runs this process: it may do everything.
  const socket = honoHandler(app, {
    channel: 'control-socket',
    identify,
    permit: () => ok(undefined),
  });
  const admin = honoHandler(app, {
    channel: 'admin',
    identify,
    permit: (caller, operation) =>
      deployment().view().access.mayAdminister(caller, operation)
        ? ok(undefined)
        : refuse(
            'access_denied',
            `You may not use ${operation} here. A rule in \`access\` with "admin": true allows it.`,
          ),
  });
  return (request, reply) => {
    if (!request.path.startsWith(`${apiPrefix}/`)) return options.gateway(request, reply);
    return request.listener === 'control-socket' ? socket(request, reply) : admin(request, reply);
  };
}

function runtimeView(options: AdminOptions, startedAtMs: number): RuntimeView {
  const { catalog } = options.deployment();
  const foundBy = new Map(options.detected.map(({ id, from }) => [id, from]));
  return {
    version: options.version,
    started_at: new Date(startedAtMs).toISOString(),
    node: process.version,
    config_file: options.settings.configFile ?? null,
    state_dir: options.settings.stateDir,
    ready: options.isReady(),
    default_model: defaultName(catalog.current()),
    listeners: options
      .listeners()
      .map(({ kind, address, connections }) => ({ kind, address, connections })),
    providers: catalog.states().map((state) => ({
      id: state.provider,
      place: state.place,
      models: state.models.length,
      problem: state.problem?.message ?? null,
      found_by: foundBy.get(state.provider) ?? null,
    })),
  };
}
