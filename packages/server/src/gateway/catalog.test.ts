import { ok, type Result } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import type { ModelInfo } from '@postern/core/routing';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../../../test/fakes/gateway-clock.ts';
import { createFakeProvider } from '../../../../test/fakes/provider.ts';
import { createCatalog } from './catalog.ts';
import { gatewayLimits } from './limits.ts';

const patient = new AbortController().signal;

function setUp() {
  const clock = createFakeClock();
  const a = createFakeProvider({ id: 'a', models: ['one'] });
  const b = createFakeProvider({ id: 'b', models: ['two'] });
  const fixed = createFakeProvider({ id: 'fixed' });
  const catalog = createCatalog({
    providers: [a, b, fixed],
    fixedModels: new Map([['fixed', [{ id: 'always' }]]]),
    aliases: {},
    defaultModel: undefined,
    nowMs: () => clock.nowMs(),
  });
  const namesOf = (id: string) =>
    catalog
      .current()
      .providers.find((provider) => provider.id === id)
      ?.models.map((model) => model.id);
  return { clock, a, b, fixed, catalog, namesOf };
}

describe('lists of models', () => {
  test('are asked of every provider at the start, but for those that the configuration fixes', async () => {
    const { a, b, fixed, catalog, namesOf } = setUp();
    expect(namesOf('fixed')).toEqual(['always']);
    await catalog.refresh(patient);
    expect([namesOf('a'), namesOf('b'), namesOf('fixed')]).toEqual([['one'], ['two'], ['always']]);
    expect([a.lists, b.lists, fixed.lists]).toEqual([1, 1, 0]);
  });

  test('are asked of one provider once at a time, whoever waits for them', async () => {
    const { a, catalog } = setUp();
    const listed = Promise.withResolvers<Result<readonly ModelInfo[], Refusal>>();
    a.listing = () => listed.promise;
    const waiting = [1, 2, 3].map(() => catalog.relist(['a'], patient));
    expect(a.lists).toBe(1);
    listed.resolve(ok([{ id: 'new' }]));
    for (const fresh of await Promise.all(waiting))
      expect(fresh.providers[0]?.models).toEqual([{ id: 'new' }]);
  });

  test('are asked again for a miss at most every five seconds', async () => {
    const { a, b, clock, catalog } = setUp();
    await catalog.relist(['a'], patient);
    await catalog.relist(['a', 'b', 'nobody', 'fixed'], patient);
    expect([a.lists, b.lists]).toEqual([1, 1]);
    clock.advance(gatewayLimits.relistMsMin - 1);
    await catalog.relist(['a'], patient);
    expect(a.lists).toBe(1);
    clock.advance(1);
    await catalog.relist(['a'], patient);
    expect(a.lists).toBe(2);
  });

  test('that fail leave the last good one, say why, and count for the five seconds', async () => {
    const { a, clock, catalog, namesOf } = setUp();
    await catalog.refresh(patient);
    const listedAtMs = clock.nowMs();
    a.listing = () => Promise.resolve(refuse('upstream_unavailable', 'nobody there'));
    clock.advance(10_000);
    await catalog.relist(['a'], patient);
    expect(namesOf('a')).toEqual(['one']);
    expect(catalog.states()[0]).toMatchObject({
      provider: 'a',
      problem: { code: 'upstream_unavailable' },
      listedAtMs,
    });
    await catalog.relist(['a'], patient);
    expect(a.lists).toBe(2);
    a.listing = () => Promise.resolve(ok([{ id: 'back' }]));
    clock.advance(10_000);
    await catalog.relist(['a'], patient);
    expect(catalog.states()[0]?.problem).toBeUndefined();
    expect(namesOf('a')).toEqual(['back']);
  });

  test('keep nobody waiting who leaves; the list itself goes on for the others', async () => {
    const { a, catalog, namesOf } = setUp();
    const listed = Promise.withResolvers<Result<readonly ModelInfo[], Refusal>>();
    a.listing = () => listed.promise;
    const abort = new AbortController();
    const leaving = catalog.relist(['a'], abort.signal);
    const staying = catalog.relist(['a'], patient);
    abort.abort();
    expect((await leaving).providers[0]?.models).toEqual([]);
    listed.resolve(ok([{ id: 'late' }]));
    await staying;
    expect(namesOf('a')).toEqual(['late']);
    const gone = await catalog.relist(['a'], abort.signal);
    expect(gone.providers[0]?.models).toEqual([{ id: 'late' }]);
  });

  test('that are longer than any are cut', async () => {
    const { a, catalog, namesOf } = setUp();
    const many = Array.from({ length: gatewayLimits.modelsPerProviderMax + 5 }, (_, index) => ({
      id: `m${index}`,
    }));
    a.listing = () => Promise.resolve(ok(many));
    await catalog.refresh(patient);
    expect(namesOf('a')).toHaveLength(gatewayLimits.modelsPerProviderMax);
  });

  test('are frozen values: a request keeps the one that it began with', async () => {
    const { a, clock, catalog } = setUp();
    await catalog.refresh(patient);
    const before = catalog.current();
    a.listing = () => Promise.resolve(ok([{ id: 'other' }]));
    clock.advance(10_000);
    await catalog.relist(['a'], patient);
    expect(before.providers[0]?.models).toEqual([{ id: 'one' }]);
    expect(catalog.current()).not.toBe(before);
  });
});
