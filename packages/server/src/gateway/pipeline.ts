import type { Result, Soon } from '@postern/core/base';
import { andThen } from '@postern/core/base';
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
import type { GatewayClock, Recorder } from './ports.ts';
import type { GatewayView } from './view.ts';
import { relay } from './relay.ts';
import type { Exchange, FaultLog } from './rescue.ts';
import { refusalOfFault, rescue } from './rescue.ts';
import { route } from './route.ts';
import { Account } from './settle.ts';
import type { Admitted, Delivery, Dispatched, Identified, Routed } from './stages.ts';
import type { Relayed } from './relayed.ts';

/** At once where nobody has to be asked. */
export type Identify = (request: HttpRequest) => Soon<Result<Caller, Refusal>>;

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
export type Step = (stage: Identified, account: Account) => Soon<Result<unknown, Refusal>>;

/**
 * Runs one request: identify, then the route's own step, with the one rescue around both and the one settlement after
 * them. The exchange's dialect is the format in which this route speaks, also when it refuses.
 */
export function run(options: PipelineOptions, exchange: Exchange, step: Step): Soon<void> {
  const account = new Account(exchange, options);
  const ended = (result: Result<unknown, Refusal>): void => {
    try {
      if (result.ok) return;
      account.refused(result.error);
      rescue(exchange, result.error);
    } catch (fault) {
      fail(fault);
    } finally {
      account.settle();
    }
  };
  const fail = (fault: unknown): void => {
    const error = refusalOfFault(fault, exchange.request, options.faults);
    account.refused(error);
    rescue(exchange, error);
  };
  const failed = (fault: unknown): void => {
    try {
      fail(fault);
    } finally {
      account.settle();
    }
  };
  let result: Soon<Result<unknown, Refusal>>;
  try {
    result = identified(options, exchange, account, step);
  } catch (fault) {
    failed(fault);
    return undefined;
  }
  // Nothing was waited for: it is over in the turn in which it came.
  return result instanceof Promise ? result.then(ended, failed) : ended(result);
}

/** Answers a request that no route takes. Who asks makes no difference, so nobody is identified. */
export function refuseUnrouted(
  options: PipelineOptions,
  exchange: Exchange,
  answer: { readonly error: Refusal; readonly headers?: ResponseHeaders },
): void {
  const account = new Account(exchange, options);
  account.refused(answer.error);
  rescue(exchange, answer.error, answer.headers);
  account.settle();
}

function identified(
  options: PipelineOptions,
  { request, reply }: Exchange,
  account: Account,
  step: Step,
): Soon<Result<unknown, Refusal>> {
  return andThen(options.identify(request), (caller) => {
    if (!caller.ok) return caller;
    const trace = options.tracer?.()?.begin(request);
    account.identified(caller.value, trace);
    return step({ request, reply, view: options.view(), caller: caller.value, trace }, account);
  });
}

/** What every request about a model's answer begins with: decode ► admit. */
export function admission(
  stage: Identified,
  account: Account,
  way: { readonly dialect: Dialect; readonly catalog: ModelCatalog },
): Soon<Result<Admitted, Refusal>> {
  const admitted = (result: Result<Admitted, Refusal>): Result<Admitted, Refusal> => {
    if (result.ok) account.admitted(result.value);
    return result;
  };
  return andThen(decode(stage, way.dialect), (decoded) => {
    if (!decoded.ok) return decoded;
    account.decoded(decoded.value);
    return andThen(admit(decoded.value, way.catalog), admitted);
  });
}

/**
 * The way of every request that a model answers: decode ► admit ► pay ► route ► dispatch ► relay. Each stage answers at
 * once where it has nothing to wait for, so that a usual request goes from its last byte to the upstream's socket, and
 * from the upstream's answer to the caller's socket, without a turn of the loop of promises in between.
 */
export function inference(options: PipelineOptions, dialect: Dialect): Step {
  return (stage, account): Soon<Result<Relayed, Refusal>> => {
    // Taken with the view, before any wait: a reload must not mix the names of one configuration with the other's.
    const catalog = options.catalog();
    return andThen(admission(stage, account, { dialect, catalog }), (admitted) => {
      if (!admitted.ok) return admitted;
      const { stage: kept, capture } = captured(admitted.value);
      account.capturing(capture);
      return andThen(openPurse(kept, account), (paying) => {
        if (!paying.ok) return paying;
        const routed = route(paying.value);
        return routed.ok ? answered(options, routed.value, account) : routed;
      });
    });
  };
}

function answered(
  options: PipelineOptions,
  stage: Routed,
  account: Account,
): Soon<Result<Relayed, Refusal>> {
  const delivery = account.delivery();
  const opening = new Opening(stage, options.clock);
  const way = { clock: options.clock, attempts: options.attempts, opening, delivery };
  return andThen(dispatch(stage, way), (dispatched) => {
    if (!dispatched.ok) {
      account.attempted(dispatched.error.attempt, dispatched.error.tries);
      const refused = opening.refuse(dispatched.error.refusal);
      if (refused.ok) account.relayed(refused.value);
      return refused;
    }
    account.attempted(dispatched.value.attempt, dispatched.value.tries);
    return andThen(relayAndLeave(dispatched.value, delivery, options.clock), (relayed) => {
      if (relayed.ok) account.relayed(relayed.value);
      return relayed;
    });
  });
}

/** The place at the target is given back when the answer is over, also when that is a defect of ours. */
function relayAndLeave(
  stage: Dispatched,
  delivery: Delivery,
  clock: GatewayClock,
): Soon<Result<Relayed, Refusal>> {
  const over = (relayed: Result<Relayed, Refusal>): Result<Relayed, Refusal> => {
    try {
      return relayed.ok ? relayed : stage.opening.refuse(relayed.error);
    } finally {
      stage.leave(relayed);
    }
  };
  const failed = (fault: unknown): never => {
    stage.leave(undefined);
    throw fault;
  };
  let relayed: Soon<Result<Relayed, Refusal>>;
  try {
    relayed = relay(stage, delivery, clock);
  } catch (fault) {
    return failed(fault);
  }
  return relayed instanceof Promise ? relayed.then(over, failed) : over(relayed);
}
