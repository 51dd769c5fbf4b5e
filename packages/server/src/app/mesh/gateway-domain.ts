import type { Result } from '@postern/core/base';
import { err, isJsonObject, ok, parseJson, requestJsonLimits } from '@postern/core/base';
import type { Egress, OutboundTimeouts } from '../../http/index.ts';
import type { GatewayDomain } from '../../mesh/index.ts';
import { parseGatewayDomain } from '../../mesh/index.ts';

const timeouts: OutboundTimeouts = {
  connectMs: 5_000,
  firstByteMs: 10_000,
  idleMs: 5_000,
  totalMs: 20_000,
};
const answerBytesMax = 65_536;
const againMs = 60_000;

export interface GatewaySearch {
  /** Of gateways, as the operator wrote them. */
  readonly urls: readonly string[];
  readonly egress: Egress;
  /** Calls ourselves through a domain: ok where it is really we who answer; undefined where we have no door. */
  readonly verify: ((domain: GatewayDomain) => Promise<Result<void, string>>) | undefined;
  readonly onFound: (domain: GatewayDomain, from: string, isVerified: boolean) => void;
  readonly onProblem: (problem: string) => void;
}

/**
 * Looks for the domain under which a gateway finds apps, until there is one. The gateway is asked over TLS that is checked,
 * and its answer counts only when a call to ourselves through that domain arrives at ourselves.
 */
export function searchGateway(search: GatewaySearch): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  const closed = new AbortController();
  const look = async (): Promise<void> => {
    for (const url of search.urls) {
      // oxlint-disable-next-line no-await-in-loop -- the first that is right
      const found = await gatewayAt(url, search, closed.signal);
      if (closed.signal.aborted) return;
      if (found.ok) {
        search.onFound(found.value, url, search.verify !== undefined);
        return;
      }
      search.onProblem(`the gateway ${url} gives no domain: ${found.error}`);
    }
    timer = setTimeout(() => void look(), againMs).unref();
  };
  void look();
  return {
    close: () => {
      closed.abort();
      clearTimeout(timer);
    },
  };
}

async function gatewayAt(
  url: string,
  { egress, verify }: GatewaySearch,
  signal: AbortSignal,
): Promise<Result<GatewayDomain, string>> {
  const answer = await egress({
    method: 'GET',
    url: new URL(`${url.replace(/\/$/, '')}/prpc/Info`),
    headers: { accept: 'application/json' },
    signal,
    timeouts,
    permission: { internal: true },
  });
  if (!answer.ok) return err(answer.error.message);
  const body = await answer.value.readAll(answerBytesMax);
  if (!body.ok) return err(body.error.message);
  if (answer.value.status !== 200) return err(`it answers ${answer.value.status}`);
  const parsed = parseJson(body.value, { ...requestJsonLimits, bytesMax: answerBytesMax });
  const info = parsed.ok ? parsed.value.value : undefined;
  if (!isJsonObject(info)) return err('its answer is no JSON object');
  const { base_domain: base, external_port: port = 443 } = info;
  if (typeof base !== 'string' || typeof port !== 'number') return err('it names no base_domain');
  const domain = parseGatewayDomain(`${base}:${port}`);
  if (!domain.ok) return domain;
  if (domain.value.kind !== 'domain') return err(`${base} is no domain`);
  const verified = (await verify?.(domain.value)) ?? ok(undefined);
  return verified.ok
    ? domain
    : err(`a call to ourselves through ${base} does not arrive: ${verified.error}`);
}
