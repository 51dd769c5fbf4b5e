import { ok } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import { settled } from '../../../../../test/fakes/gateway.ts';
import { createFakeProvider } from '../../../../../test/fakes/provider.ts';
import type { Provider } from '../ports.ts';
import type { FleetEvent } from './events.ts';
import { createFleet } from './fleet.ts';
import { plainRules, type ProviderRules } from './rules.ts';
import type { Passage, Visit } from './station.ts';

const queue = { length: 3, waitMs: 5_000, whileBusy: 'nextTarget' } as const;

function setUp(rules: Partial<ProviderRules>, changed: Partial<Provider> = {}) {
  const clock = createFakeClock();
  const events: FleetEvent[] = [];
  const fleet = createFleet({ clock, random: () => 0.5, onEvent: (event) => events.push(event) });
  const provider: Provider = {
    ...createFakeProvider({ id: 'gpu' }),
    rules: { ...plainRules, ...rules },
    ...changed,
  };
  const station = fleet.station(provider, '');
  const visit = (owner = 'ann', signal = new AbortController().signal): Visit => ({
    provider,
    endpoint: '',
    model: 'm',
    owner,
    signal,
  });
  const enter = (owner?: string): Passage => {
    const entry = station.enter(visit(owner));
    if (entry.kind !== 'entered') throw new Error(`it is ${entry.kind}`);
    return entry.passage;
  };
  return { clock, events, fleet, provider, station, visit, enter };
}

describe('a place with a cap', () => {
  test('lets so many in, and the next in turn when one leaves', async () => {
    const { station, visit, enter } = setUp({ maxConcurrent: 2, queue });
    const first = enter();
    enter();
    expect(station.enter(visit()).kind).toBe('busy');
    const order: string[] = [];
    for (const owner of ['ann', 'ann', 'bob'])
      void station.enterInTurn(visit(owner)).then((turn) => {
        order.push(`${owner} ${turn.ok}`);
        if (turn.ok) turn.value.leave('good');
      });
    await settled();
    expect([order, station.queued, station.inFlight]).toEqual([[], 3, 2]);
    // Nobody overtakes who waits.
    first.leave('good');
    await settled();
    expect(order).toEqual(['ann true', 'bob true', 'ann true']);
    expect([station.queued, station.inFlight]).toEqual([0, 1]);
  });

  test('is left once, however often it is said', async () => {
    const { station, enter } = setUp({ maxConcurrent: 1, queue });
    const passage = enter();
    passage.leave('good');
    passage.leave('good');
    expect(station.inFlight).toBe(0);
  });

  test('refuses who waits too long, who is too many, and forgets who leaves', async () => {
    const { station, visit, enter, clock, fleet } = setUp({ maxConcurrent: 1, queue });
    const passage = enter();
    const caller = new AbortController();
    const waiting = ['a', 'b', 'c'].map((owner) =>
      station.enterInTurn(owner === 'c' ? visit(owner, caller.signal) : visit(owner)),
    );
    await settled();
    expect(await station.enterInTurn(visit('d'))).toMatchObject({
      error: { code: 'overloaded', retryAfterMs: 1_000 },
    });
    caller.abort();
    expect(await waiting[2]).toMatchObject({ error: { detail: { stage: 'cancelled' } } });
    expect(station.queued).toBe(2);
    clock.advance(5_000);
    expect(await waiting[0]).toMatchObject({ error: { code: 'overloaded' } });
    expect(await waiting[1]).toMatchObject({ error: { code: 'overloaded' } });
    expect(fleet.counters).toMatchObject({ queued: 3, queueFull: 1, queueLate: 2, queueLeft: 1 });
    passage.leave('good');
    expect([station.inFlight, station.queued, clock.pending]).toEqual([0, 0, 0]);
  });

  test('lets more in as soon as a new configuration leaves more room', async () => {
    const { station, visit, enter, fleet, provider } = setUp({ maxConcurrent: 1, queue });
    enter();
    const waiting = station.enterInTurn(visit());
    await settled();
    fleet.station({ ...provider, rules: { ...plainRules, maxConcurrent: 2, queue } }, '');
    expect((await waiting).ok).toBe(true);
    expect(station.inFlight).toBe(2);
  });
});

describe('a place with a breaker', () => {
  const breaker = { failures: 2, windowMs: 10_000, openMs: 1_000, openMsMax: 4_000 };

  test('shows its state, lets one try, and tells each change', () => {
    const { station, enter, visit, clock, fleet, provider, events } = setUp({ breaker });
    enter().leave('bad');
    enter().leave('bad');
    expect(fleet.stateOf(provider, 'm')).toBe('open');
    expect(fleet.stateOf(provider, 'other')).toBe('ready');
    expect(station.enter(visit())).toMatchObject({
      kind: 'refused',
      refusal: { code: 'upstream_unavailable', retryAfterMs: 1_000 },
    });
    clock.advance(1_000);
    expect(fleet.stateOf(provider, 'm')).toBe('probation');
    const probe = enter();
    expect(station.enter(visit()).kind).toBe('refused');
    probe.answered();
    // The others need not wait for the end of its answer; should it break, that counts.
    enter().leave('unknown');
    probe.leave('bad');
    expect(fleet.stateOf(provider, 'm')).toBe('ready');
    enter().leave('bad');
    expect(fleet.stateOf(provider, 'm')).toBe('open');
    expect(events.filter(({ kind }) => kind === 'breaker')).toMatchObject([
      { model: 'm', from: 'closed', to: 'open' },
      { from: 'open', to: 'probation' },
      { from: 'probation', to: 'closed' },
      { from: 'closed', to: 'open' },
    ]);
    expect(fleet.counters).toMatchObject({ breakerOpened: 2, breakerClosed: 1, failures: 4 });
  });

  test('that opens refuses those who waited for their turn', async () => {
    const { station, enter, visit } = setUp({
      breaker: { ...breaker, failures: 1 },
      maxConcurrent: 1,
      queue,
    });
    const first = enter();
    const waiting = station.enterInTurn(visit());
    await settled();
    first.leave('bad');
    expect(await waiting).toMatchObject({ ok: false, error: { detail: { stage: 'breaker' } } });
    expect([station.inFlight, station.queued]).toEqual([0, 0]);
  });
});

describe('a place with health checks', () => {
  const health = { intervalMs: 1_000, timeoutMs: 100, unhealthyAfter: 2, healthyAfter: 1 };

  test('is not used while they fail, and again when they succeed', async () => {
    let isGood = false;
    const { station, visit, clock, fleet, provider, events } = setUp(
      { health },
      { check: () => Promise.resolve(isGood ? ok(undefined) : refuse('upstream_error', 'no')) },
    );
    fleet.watch([provider]);
    clock.advance(1_000);
    await settled();
    expect(station.enter(visit()).kind).toBe('entered');
    clock.advance(1_000);
    await settled();
    expect(fleet.stateOf(provider, 'm')).toBe('unhealthy');
    expect(station.enter(visit())).toMatchObject({
      kind: 'refused',
      refusal: { retryAfterMs: 1_000 },
    });
    isGood = true;
    clock.advance(1_000);
    await settled();
    expect(fleet.stateOf(provider, 'm')).toBe('ready');
    expect(events).toMatchObject([{ isHealthy: false }, { isHealthy: true }]);
    fleet.close();
    expect(clock.pending).toBe(0);
  });
});

describe('places that come and go', () => {
  test('the one with the least to do is first, and what is known of one stays while it is listed', () => {
    let endpoints = ['http://a', 'http://b'];
    const { fleet, provider } = setUp({ maxConcurrent: 5 }, { endpoints: () => endpoints });
    const entry = fleet.station(provider, 'http://a').enter({
      provider,
      endpoint: 'http://a',
      model: 'm',
      owner: 'ann',
      signal: new AbortController().signal,
    });
    expect(fleet.endpointsOf(provider)).toEqual(['http://b', 'http://a']);
    endpoints = ['http://a', 'http://c'];
    fleet.watch([provider]);
    expect(fleet.states().map(({ endpoint }) => endpoint)).toEqual(['http://a', 'http://c']);
    expect(fleet.states()[0]?.inFlight).toBe(1);
    if (entry.kind === 'entered') entry.passage.leave('good');
    endpoints = [];
    fleet.watch([provider]);
    expect([fleet.states(), fleet.endpointsOf(provider)]).toEqual([[], []]);
    expect(fleet.stateOf(provider, 'm')).toBe('unhealthy');
  });
});
