import type { Result } from '@postern/core/base';
import type { Dialect } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { HttpRequest, ResponseHeaders } from '../http/index.ts';
import type { Tracer } from '../observe/trace/index.ts';
import { admit } from './admit.ts';
import { captured } from './capture.ts';
import type { ModelCatalog } from './catalog.ts';
import { decode } from './decode.ts';
import type { AttemptWatcher } from './attempts.ts';
import { dispatch } from './dispatch.ts';
import { Opening } from './opening.ts';
import { openPurse } from './pay.ts';
import type { GatewayClock, GatewayView, Recorder } from './ports.ts';
import { relay } from './relay.ts';
import type { Exchange, FaultLog } from './rescue.ts';
import { refusalOfFault, rescue } from './rescue.ts';
import { route } from './route.ts';
import { Account } from './settle.ts';
import type { Admitted, Delivery, Dispatched, Identified, Relayed } from './stages.ts';

export type Identify = (request: HttpRequest) => Promise<Result<Caller, Refusal>>;

export interface PipelineOptions {
  readonly identify: Identify;
  /** What a request that begins now reads to its end. */
  readonly view: () => GatewayView;
  readonly catalog: () => ModelCatalog;
  readonly record: Recorder;
  readonly faults: FaultLog;
  readonly clock: GatewayClock;
  /** Told of each attempt as it begins and as it ends. */
  readonly attempts?: AttemptWatcher;
  /** Absent: nothing is traced now. */
  readonly tracer?: () => Tracer | undefined;
}

/** What a route does once its caller is known. It answers by itself or refuses. */
export type Step = (stage: Identified, account: Account) => Promise<Result<unknown, Refusal>>;

/**
 * Runs one request: identify, then the route's own step, with the one rescue around both and the one settlement after
 * them. The exchange's dialect is the format in which this route speaks, also when it refuses.
 */
export async function run(options: PipelineOptions, exchange: Exchange, step: Step): Promise<void> {
  const account = new Account({ ...exchange, ...options });
  try {
    const result = await identified(options, exchange, account, step);
    if (!result.ok) {
      account.refused(result.error);
      rescue(exchange, result.error, account.headers);
    }
  } catch (fault) {
    const error = refusalOfFault(fault, exchange.request, options.faults);
    account.refused(error);
    rescue(exchange, error);
  } finally {
    account.settle();
  }
}

/** Answers a request that no route takes. Who asks makes no difference, so nobody is identified. */
export function refuseUnrouted(
  options: PipelineOptions,
  exchange: Exchange,
  answer: { readonly error: Refusal; readonly headers?: ResponseHeaders },
): void {
  const account = new Account({ ...exchange, ...options });
  account.refused(answer.error);
  rescue(exchange, answer.error, answer.headers);
  account.settle();
}

async function identified(
  options: PipelineOptions,
  exchange: Exchange,
  account: Account,
  step: Step,
): Promise<Result<unknown, Refusal>> {
  const { request, reply } = exchange;
  const caller = await options.identify(request);
  if (!caller.ok) return caller;
  const trace = options.tracer?.()?.begin(request);
  account.identified(caller.value, trace);
  return await step({ request, reply, view: options.view(), caller: caller.value, trace }, account);
}

/** What every request about a model's answer begins with: decode ► admit. */
export async function admission(
  stage: Identified,
  account: Account,
  way: { readonly dialect: Dialect; readonly catalog: ModelCatalog },
): Promise<Result<Admitted, Refusal>> {
  const decoded = await decode(stage, way.dialect);
  if (!decoded.ok) return decoded;
  account.decoded(decoded.value);
  const admitted = await admit(decoded.value, way.catalog);
  if (admitted.ok) account.admitted(admitted.value);
  return admitted;
}

/** The way of every request that a model answers: decode ► admit ► route ► dispatch ► relay. */
export function inference(options: PipelineOptions, dialect: Dialect): Step {
  return async (stage, account): Promise<Result<Relayed, Refusal>> => {
    // Taken with the view, before any wait: a reload must not mix the names of one configuration with the other's.
    const catalog = options.catalog();
    const admitted = await admission(stage, account, { dialect, catalog });
    if (!admitted.ok) return admitted;
    const { stage: kept, capture } = captured(admitted.value);
    account.capturing(capture);
    const paying = await openPurse(kept, account);
    if (!paying.ok) return paying;
    const routed = route(paying.value);
    if (!routed.ok) return routed;
    const delivery = account.delivery();
    const opening = new Opening(routed.value, options.clock);
    const dispatched = await dispatch(routed.value, { ...options, opening, delivery });
    if (!dispatched.ok) {
      account.attempted(dispatched.error.attempt, dispatched.error.tries);
      const refused = opening.refuse(dispatched.error.refusal);
      if (refused.ok) account.relayed(refused.value);
      return refused;
    }
    account.attempted(dispatched.value.attempt, dispatched.value.tries);
    const relayed = await relayAndLeave(dispatched.value, delivery, options.clock);
    if (relayed.ok) account.relayed(relayed.value);
    return relayed;
  };
}

/** The place at the target is given back when the answer is over, also when that is a defect of ours. */
async function relayAndLeave(
  stage: Dispatched,
  delivery: Delivery,
  clock: GatewayClock,
): Promise<Result<Relayed, Refusal>> {
  let relayed: Result<Relayed, Refusal> | undefined;
  try {
    relayed = await relay(stage, delivery, clock);
    return relayed.ok ? relayed : stage.opening.refuse(relayed.error);
  } finally {
    stage.leave(relayed);
  }
}
