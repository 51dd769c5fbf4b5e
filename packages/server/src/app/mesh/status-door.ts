import process from 'node:process';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { MeshDesk } from '../../control/api/index.ts';
import type { Bind, HttpHandler, HttpRequest, Listener } from '../../http/index.ts';
import { openListener } from '../../http/index.ts';
import type { MeshPlane } from '../../mesh/index.ts';
import type { MetricSource } from '../../observe/metrics/index.ts';
import { expositionType, scrape } from '../../observe/metrics/index.ts';
import type { Logger } from '../../observe/index.ts';
import { adminAddresses, socketPath } from '../listen.ts';
import type { Settings } from '../settings.ts';
import { meshGauges } from '../telemetry/mesh-gauges.ts';
import { isHere, metricsPath, sendRefusal } from '../telemetry/metrics-route.ts';
import { deskOfMesh } from './desk.ts';

/** What is shown of a mesh that runs alone. */
export interface StatusDoorOptions {
  readonly plane: MeshPlane;
  readonly settings: Settings;
  readonly config: Config;
  readonly version: string;
  readonly newRequestId: () => string;
  readonly nowMs: () => number;
  readonly logger: Logger;
}

const ownerOnly = 0o600;

/**
 * What `postern mesh run` shows of itself: to its own user on the control socket, status, peers and keys, as the admin API of a
 * gateway does, and metrics; to programs of the machine, metrics alone, where the configuration opens them. What cannot be opened,
 * since a gateway of the same state folder has it, is a line in the log: the mesh does not need it.
 */
export async function openStatusDoor(options: StatusDoorOptions): Promise<readonly Listener[]> {
  const { plane, settings, config, logger } = options;
  const handler = statusHandler(options, deskOfMesh(plane));
  const places = [
    { kind: 'control-socket', bind: socketOf(settings.stateDir) } as const,
    ...(config.telemetry.openMetrics ? metricsPlaces(options) : []),
  ];
  const listeners: Listener[] = [];
  for (const { kind, bind } of places) {
    // oxlint-disable-next-line no-await-in-loop -- at most three, in the order in which they are shown
    const opened = await openListener({
      kind,
      bind,
      handler,
      // A file has an owner and no name; metrics on loopback go to whoever is there, by any name of it.
      hosts: kind === 'admin' ? ['localhost', '127.0.0.1', '::1'] : undefined,
      trustedProxies: [],
      onlyTrustedProxies: false,
      believedHeaders: [],
      newRequestId: options.newRequestId,
      nowMs: options.nowMs,
      onFault: (fault, requestId) => logger.error({ err: fault, request_id: requestId }, 'fault'),
    });
    if (opened.ok) listeners.push(opened.value);
    else logger.warn({ problem: opened.error.message }, `mesh: nothing is shown on ${kind}`);
  }
  return listeners;
}

function socketOf(stateDir: string): Bind {
  return { kind: 'unix', path: socketPath(stateDir, 'control'), mode: ownerOnly };
}

function metricsPlaces({
  config,
  settings,
  logger,
}: StatusDoorOptions): readonly { readonly kind: 'admin'; readonly bind: Bind }[] {
  const found = adminAddresses(config, settings);
  if (!found.ok) {
    logger.warn({ problem: found.error }, 'mesh: no metrics on TCP');
    return [];
  }
  return found.value.map(({ host, port }) => ({
    kind: 'admin',
    bind: { kind: 'tcp', host, port },
  }));
}

function statusHandler(options: StatusDoorOptions, desk: MeshDesk): HttpHandler {
  const metrics: readonly MetricSource[] = [
    (sheet) => {
      sheet.put('postern_build_info', 1, options.version, process.version);
      sheet.put('postern_resident_memory_bytes', process.memoryUsage.rss());
    },
    meshGauges(() => options.plane.facts()),
  ];
  const pages: Readonly<Record<string, () => unknown>> = {
    '/api/v1/mesh': () => desk.status(),
    '/api/v1/mesh/peers': () => ({ peers: desk.peers() }),
    '/api/v1/mesh/keys': () => desk.keys(),
  };
  return async (request, reply) => {
    const admitted = admit(request);
    if (!admitted.ok) return sendRefusal(reply, admitted.error, request.id);
    if (request.path === metricsPath) {
      const headers = { 'content-type': expositionType, 'cache-control': 'no-store' };
      reply.send(200, headers, await scrape(metrics));
      return;
    }
    const page = Object.hasOwn(pages, request.path) ? pages[request.path] : undefined;
    if (page === undefined || request.listener !== 'control-socket')
      return sendRefusal(reply, nothingHere(request.path), request.id);
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    reply.send(200, headers, `${JSON.stringify(await page())}\n`);
  };
}

/** Who can open the control socket is the user that runs this process; on TCP only this machine itself is answered. */
function admit(request: HttpRequest): Result<undefined, Refusal> {
  if (request.listener !== 'control-socket' && !isHere(request))
    return refuse('access_denied', 'Metrics of this mesh are for programs of its own machine.');
  return request.method === 'GET'
    ? ok(undefined)
    : refuse(
        'method_not_allowed',
        `The mesh alone is only looked at: ${request.path} takes GET. What it does is in its configuration.`,
      );
}

function nothingHere(path: string): Refusal {
  return {
    code: 'not_found',
    message: `There is no ${path} here: the mesh runs alone, without a gateway. \`postern mesh status\` and \`postern mesh peers\` show it.`,
  };
}
