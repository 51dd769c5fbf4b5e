import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Dialect } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { HttpReply, HttpRequest } from '../http/index.ts';
import { admit } from './admit.ts';
import type { ModelCatalog } from './catalog.ts';
import { decode } from './decode.ts';
import { dispatch } from './dispatch.ts';
import type { GatewayClock, GatewayView, Recorder } from './ports.ts';
import { relay } from './relay.ts';
import type { FaultLog } from './rescue.ts';
import { refusalOfFault, rescue } from './rescue.ts';
import { route } from './route.ts';
import { Account } from './settle.ts';
import type { Identified, Relayed } from './stages.ts';

export type Identify = (request: HttpRequest) => Promise<Result<Caller, Refusal>>;

export interface PipelineOptions {
  readonly identify: Identify;
  /** What a request that begins now reads to its end. */
  readonly view: () => GatewayView;
  readonly catalog: () => ModelCatalog;
  readonly record: Recorder;
  readonly faults: FaultLog;
  readonly clock: GatewayClock;
}

/** What a route does once its caller is known. It answers by itself or refuses. */
export type Step = (stage: Identified, account: Account) => Promise<Result<unknown, Refusal>>;

/**
 * Runs one request: identify, then the route's own step, with the one rescue around both and the one settlement after
 * them. `dialect` is the format in which this route speaks, also when it refuses.
 */
export async function run(
  options: PipelineOptions,
  exchange: { readonly request: HttpRequest; readonly reply: HttpReply; readonly dialect: Dialect },
  step: Step,
): Promise<void> {
  const { request, reply, dialect } = exchange;
  const account = new Account({ request, reply, record: options.record, clock: options.clock });
  try {
    const result = await identified(options, exchange, account, step);
    if (!result.ok) {
      account.refused(result.error);
      rescue(reply, request, dialect, result.error);
    }
  } catch (fault) {
    const error = refusalOfFault(fault, request, options.faults);
    account.refused(error);
    rescue(reply, request, dialect, error);
  } finally {
    account.settle();
  }
}

async function identified(
  options: PipelineOptions,
  exchange: { readonly request: HttpRequest; readonly reply: HttpReply },
  account: Account,
  step: Step,
): Promise<Result<unknown, Refusal>> {
  const caller = await options.identify(exchange.request);
  if (!caller.ok) return caller;
  account.identified(caller.value);
  return step({ ...exchange, view: options.view(), caller: caller.value }, account);
}

/** The way of every request that a model answers: decode ► admit ► route ► dispatch ► relay. */
export function inference(options: PipelineOptions, dialect: Dialect): Step {
  return async (stage, account): Promise<Result<Relayed, Refusal>> => {
    const decoded = await decode(stage, dialect);
    if (!decoded.ok) return decoded;
    account.decoded(decoded.value);
    const admitted = await admit(decoded.value, options.catalog());
    if (!admitted.ok) return admitted;
    account.admitted(admitted.value);
    const routed = route({ ...admitted.value, view: options.view() });
    if (!routed.ok) return routed;
    const dispatched = await dispatch(routed.value);
    if (!dispatched.ok) {
      account.attempted(dispatched.error.attempt, dispatched.error.tries);
      return { ok: false, error: dispatched.error.refusal };
    }
    account.attempted(dispatched.value.attempt, dispatched.value.tries);
    const relayed = await relay(dispatched.value, options.clock);
    if (!relayed.ok) return stage.request.signal.aborted ? ok(leftEarly()) : relayed;
    account.relayed(relayed.value);
    return relayed;
  };
}

/** The caller left before anything was sent: nothing to answer, everything to record. */
function leftEarly(): Relayed {
  return {
    outcome: 'aborted',
    refusal: refusal('upstream_unavailable', 'The caller left.'),
    usage: undefined,
    deliveredChars: 0,
    firstByteMs: undefined,
  };
}
