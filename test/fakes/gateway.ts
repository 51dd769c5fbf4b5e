import { ok } from '@postern/core/base';
import type { Principal } from '@postern/core/identity';
import type { Target } from '@postern/core/routing';
import type {
  AccessDecision,
  Fleet,
  FleetEvent,
  GatewayOptions,
  ModelCatalog,
  Recorder,
} from '@postern/server/gateway';
import { createCatalog, createFleet, gatewayHandler } from '@postern/server/gateway';
import type { HttpHandler } from '@postern/server/http';
import { createFakeClock, type FakeClock } from './gateway-clock.ts';
import { createFakeExchange, type FakeExchange, type FakeRequestOptions } from './exchange.ts';
import type { FakeProvider } from './provider.ts';

export const principal: Principal = {
  authority: 'tailnet',
  id: 'u1',
  kind: 'user',
  display: 'ann',
  selectors: ['ann@example.com'],
};

export interface FakeGatewayOptions {
  readonly providers: readonly FakeProvider[];
  readonly aliases?: Readonly<Record<string, readonly Target[]>>;
  /** What the policy allows; everything where it is left out. */
  readonly allows?: (model: string) => boolean;
  readonly isAdministrator?: boolean;
  readonly maxOutputTokens?: number;
  /** What weights and waits draw; always 0 where it is left out. */
  readonly random?: () => number;
  readonly change?: (options: GatewayOptions) => GatewayOptions;
}

export interface FakeGateway {
  /** To be put behind a real listener. */
  readonly handler: HttpHandler;
  readonly clock: FakeClock;
  readonly catalog: ModelCatalog;
  readonly fleet: Fleet;
  readonly fleetEvents: readonly FleetEvent[];
  readonly settlements: Parameters<Recorder>[0][];
  readonly faults: unknown[];
  /** Begins a request. `done` resolves when its handler returned. */
  open(request: FakeRequestOptions): FakeExchange & { readonly done: Promise<void> };
  /** A request from its begin to its end. */
  ask(request: FakeRequestOptions): Promise<FakeExchange>;
}

/** The gateway with fakes behind all of its ports. Models are listed already. */
export async function createFakeGateway(options: FakeGatewayOptions): Promise<FakeGateway> {
  const clock = createFakeClock();
  const fleetEvents: FleetEvent[] = [];
  const fleet = createFleet({
    clock,
    random: options.random ?? (() => 0),
    onEvent: (event) => fleetEvents.push(event),
  });
  const settlements: Parameters<Recorder>[0][] = [];
  const faults: unknown[] = [];
  const catalog = createCatalog({
    providers: options.providers,
    fixedModels: new Map(),
    aliases: options.aliases ?? {},
    defaultModel: undefined,
    nowMs: () => clock.nowMs(),
  });
  await catalog.refresh(new AbortController().signal);
  const allows = options.allows ?? (() => true);
  const providers = new Map(options.providers.map((provider) => [provider.id, provider]));
  const handlerOptions: GatewayOptions = {
    identify: () => Promise.resolve(ok({ subject: principal })),
    view: () => ({
      catalog: catalog.current(),
      providers,
      limits: { bodyBytes: 1_000_000, heartbeatMs: 15_000 },
      fleet,
      access: {
        decide: ({ model }): AccessDecision =>
          allows(model)
            ? { allowed: true, id: 'd1', rule: 'r1', maxOutputTokens: options.maxOutputTokens }
            : { allowed: false, id: 'd1', why: 'model' },
        mayUse: (_, model) => allows(model),
        selectorsOf: ({ subject }) => subject.selectors,
        mayAdminister: () => options.isAdministrator ?? false,
      },
    }),
    catalog: () => catalog,
    record: (settlement) => settlements.push(settlement),
    faults: (fault) => faults.push(fault),
    clock,
    host: { hostname: 'box', privateIp: '10.0.0.9' },
    health: { readiness: () => [{ name: 'draining', ok: true, message: 'accepting' }] },
  };
  const handler = gatewayHandler(options.change?.(handlerOptions) ?? handlerOptions);
  const open: FakeGateway['open'] = (request) => {
    const exchange = createFakeExchange({ receivedAtMs: clock.nowMs(), ...request });
    return { ...exchange, done: Promise.resolve(handler(exchange.request, exchange.reply)) };
  };
  return {
    handler,
    clock,
    catalog,
    fleet,
    fleetEvents,
    settlements,
    faults,
    open,
    ask: async (request) => {
      const opened = open(request);
      await opened.done;
      return opened;
    },
  };
}

/** Lets everything run that waits for nothing. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one turn of the event loop after the other
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
