import type { Result } from '@postern/core/base';
import { ok, onceUnlessItFails } from '@postern/core/base';
import { dialectNamed } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Identify } from '../../gateway/index.ts';
import type { HttpHandler, HttpReply, HttpRequest } from '../../http/index.ts';
import type { MetricSource } from '../../observe/metrics/index.ts';
import { expositionType, scrape } from '../../observe/metrics/index.ts';
import type { TelemetryView } from './view.ts';

export const metricsPath = '/metrics';

/** What a grant of `postern.dev/cap/admin` names to let a scraper in. */
const metricsOperation = 'metrics.read';

export interface MetricsRouteOptions {
  readonly view: TelemetryView;
  readonly identify: Identify;
  /** Counted as it happens; the rest is read when a scrape comes. */
  readonly counted: readonly MetricSource[];
}

/** `GET /metrics` of the admin listener and the control socket. */
export function metricsRoute(options: MetricsRouteOptions): HttpHandler {
  const gauges = onceUnlessItFails(async (): Promise<readonly MetricSource[]> => {
    const { gaugesOf } = await import('./gauges.ts');
    return gaugesOf(options.view);
  });
  return async (request, reply) => {
    const admitted = await mayScrape(options, request);
    if (!admitted.ok) {
      sendRefusal(reply, admitted.error, request.id);
      return;
    }
    const text = await scrape([...options.counted, ...(await gauges())]);
    reply.send(200, { 'content-type': expositionType, 'cache-control': 'no-store' }, text);
  };
}

/** A refusal of a page that is no route of models. */
export function sendRefusal(reply: HttpReply, why: Refusal, requestId: string): void {
  const { status, headers, contentType, body } = dialectNamed('openai-chat').encodeRefusal(
    why,
    requestId,
  );
  reply.send(status, { ...headers, 'content-type': contentType }, body);
}

async function mayScrape(
  { view, identify }: MetricsRouteOptions,
  request: HttpRequest,
): Promise<Result<undefined, Refusal>> {
  if (request.method !== 'GET')
    return refuse('method_not_allowed', `${metricsPath} takes GET, not ${request.method}.`);
  const { deployment } = view;
  // Who can open the control socket is the user that runs this process.
  if (request.listener === 'control-socket') return ok(undefined);
  if (deployment().config.telemetry.openMetrics && isHere(request)) return ok(undefined);
  const caller = await identify(request);
  if (!caller.ok) return caller;
  return deployment().view().access.mayAdminister(caller.value, metricsOperation)
    ? ok(undefined)
    : refuse(
        'access_denied',
        `You may not use ${metricsOperation} here. A grant of postern.dev/cap/admin in the policy allows it; telemetry.openMetrics opens it to programs on this machine.`,
      );
}

/** A socket between two loopback addresses that carries nothing of a proxy: one that forwards others says so. */
export function isHere({ peer, sawForwarding, sawIdentityHeaders }: HttpRequest): boolean {
  return (
    isLoopback(peer.address) &&
    isLoopback(peer.localAddress) &&
    !sawForwarding &&
    !sawIdentityHeaders
  );
}

function isLoopback(address: string | undefined): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address ?? '');
}
