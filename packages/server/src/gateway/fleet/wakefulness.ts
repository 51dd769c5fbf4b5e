import { dialectNamed, type DialectName } from '@postern/core/dialect';
import type { Provider } from '../ports.ts';
import { gatewayLimits } from '../limits.ts';
import { answers, pause, type StationContext } from './context.ts';
import type { WakeState } from './events.ts';
import type { WakeRules } from './rules.ts';

/** How long one look at a machine may take: one that sleeps drops packets and refuses nothing. */
const lookMsMax = 3_000;
/** The first token of a model that has to be read from disk. */
const warmUpMsMax = 300_000;

/**
 * Whether a machine sleeps, and what it takes to get it going: woken once for however many wait, asked whether it
 * answers, warmed up, and only then `ready`. Goes on when whoever asked for it has left: the machine is starting.
 */
export class Wakefulness {
  readonly #context: StationContext;
  #state: WakeState = 'unknown';
  #rousing: Promise<boolean> | undefined;

  constructor(context: StationContext) {
    this.#context = context;
  }

  get state(): WakeState {
    return this.#state;
  }

  /** It did not take a connection although it was ready. */
  fell(): void {
    if (this.#rousing === undefined) this.#become('asleep');
  }

  /** A health check or a request was answered. */
  rose(): void {
    if (this.#rousing === undefined) this.#become('ready');
  }

  /** Looks whether it is awake, and wakes nobody. */
  async look(provider: Provider, endpoint: string): Promise<void> {
    if (this.#rousing !== undefined || this.#state === 'ready') return;
    const isAwake = await this.#answers(provider, endpoint);
    if (isAwake) this.rose();
    else this.fell();
  }

  /** True once it is ready; false when it could not be woken in time. */
  rouse(provider: Provider, endpoint: string, rules: WakeRules): Promise<boolean> {
    if (this.#state === 'ready') return Promise.resolve(true);
    this.#rousing ??= this.#run(provider, endpoint, rules).finally(() => {
      this.#rousing = undefined;
    });
    return this.#rousing;
  }

  async #run(provider: Provider, endpoint: string, rules: WakeRules): Promise<boolean> {
    const { clock, closed, counters } = this.#context;
    const endMs = clock.nowMs() + rules.readyMs;
    const againMs = rules.readyMs / (rules.again + 1);
    let nextWakeMs = clock.nowMs();
    let problem: string | undefined;
    while (!closed.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      if (await this.#isReady(provider, endpoint, rules)) {
        this.#become('ready');
        return true;
      }
      const nowMs = clock.nowMs();
      if (nowMs >= endMs) break;
      if (nowMs >= nextWakeMs) {
        nextWakeMs = nowMs + againMs;
        counters.wakes += 1;
        // oxlint-disable-next-line no-await-in-loop -- as above
        const woken = await rules.waker.wake(
          AbortSignal.any([closed, AbortSignal.timeout(rules.readyMs)]),
        );
        problem = woken.ok ? undefined : woken.error;
        this.#become('loading', problem);
      }
      // oxlint-disable-next-line no-await-in-loop -- as above
      await pause(clock, Math.min(rules.pollMs, Math.max(1, endMs - clock.nowMs())), closed);
    }
    counters.wakesFailed += 1;
    this.#become('asleep', problem ?? 'it did not answer in time');
    return false;
  }

  async #isReady(provider: Provider, endpoint: string, rules: WakeRules): Promise<boolean> {
    if (!(await this.#answers(provider, endpoint))) return false;
    if (rules.warmUp.length > 0) this.#become('loading');
    for (const model of rules.warmUp) {
      // oxlint-disable-next-line no-await-in-loop -- a small machine loads one model at a time
      if (!(await warmUp(provider, endpoint, { model, closed: this.#context.closed })))
        return false;
    }
    return true;
  }

  #answers(provider: Provider, endpoint: string): Promise<boolean> {
    const signal = AbortSignal.any([this.#context.closed, AbortSignal.timeout(lookMsMax)]);
    return answers(provider, endpoint, signal);
  }

  #become(state: WakeState, problem?: string): void {
    if (this.#state === state && problem === undefined) return;
    this.#state = state;
    this.#context.tell({ kind: 'wake', state, problem });
  }
}

const oneWord = { max_tokens: 1, messages: [{ role: 'user', content: 'hi' }] };
const smallest: Readonly<Partial<Record<DialectName, Readonly<Record<string, unknown>>>>> = {
  'openai-chat': oneWord,
  'anthropic-messages': oneWord,
  'openai-completions': { max_tokens: 1, prompt: 'hi' },
};

/** Asks a model for one token, so that it is in memory when somebody waits for it. */
async function warmUp(
  provider: Provider,
  endpoint: string,
  { model, closed }: { readonly model: string; readonly closed: AbortSignal },
): Promise<boolean> {
  const name = provider.dialects.find((each) => smallest[each] !== undefined);
  if (name === undefined) return true;
  const dialect = dialectNamed(name);
  const called = await provider.call({
    dialect,
    path: dialect.upstreamPath(model, false),
    body: JSON.stringify({ model, ...smallest[name] }),
    headers: {},
    signal: AbortSignal.any([closed, AbortSignal.timeout(warmUpMsMax)]),
    endpoint,
  });
  if (!called.ok) return false;
  const read = await called.value.readAll(gatewayLimits.answerBytesMax);
  return read.ok && called.value.status === 200;
}
