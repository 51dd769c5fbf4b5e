import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue, type Ticket } from './fair-queue.ts';

function drain(queue: FairQueue<string>): readonly string[] {
  const order: string[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) order.push(next.item);
  return order;
}

describe('a fair queue', () => {
  test('lets owners take turns, and serves each in its own order', () => {
    const queue = new FairQueue<string>(() => 10);
    for (const item of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) queue.add(item[0] ?? '', item);
    expect(drain(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  test('that is full takes a newcomer in the place of the last of whoever has most', () => {
    const queue = new FairQueue<string>(() => 3);
    for (const item of ['a1', 'a2', 'a3']) queue.add('a', item);
    expect(queue.add('b', 'b1')).toMatchObject({ kind: 'waits', evicted: { item: 'a3' } });
    // One each of two would only change places.
    expect(queue.add('b', 'b2')).toEqual({ kind: 'full' });
    expect(queue.add('a', 'a4')).toEqual({ kind: 'full' });
    expect(drain(queue)).toEqual(['a1', 'b1', 'a2']);
  });

  test('forgets whoever leaves it, once', () => {
    const queue = new FairQueue<string>(() => 3);
    const added = queue.add('a', 'a1');
    queue.add('a', 'a2');
    if (added.kind !== 'waits') throw new Error('there is room');
    expect(queue.remove(added.ticket)).toBe(true);
    expect(queue.remove(added.ticket)).toBe(false);
    expect(drain(queue)).toEqual(['a2']);
  });

  test('of length 0 takes nobody', () => {
    expect(new FairQueue<string>(() => 0).add('a', 'x')).toEqual({ kind: 'full' });
  });
});

/** The model: a list of tickets in order of arrival and the owners in the order of their turns. */
class Model {
  tickets: Ticket<number>[] = [];
  turns: string[] = [];

  of(owner: string): Ticket<number>[] {
    return this.tickets.filter((ticket) => ticket.owner === owner);
  }

  drop(ticket: Ticket<number>): void {
    this.tickets = this.tickets.filter((each) => each !== ticket);
    if (this.of(ticket.owner).length === 0)
      this.turns = this.turns.filter((owner) => owner !== ticket.owner);
  }
}

test('any mix of arrivals, turns and leavings is served as the model serves it', () => {
  const owner = fc.constantFrom('a', 'b', 'c', 'd');
  const plan = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ do: fc.constant('add' as const), owner }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), which: fc.nat(20) }) },
    ),
    { maxLength: 120 },
  );
  fc.assert(
    fc.property(plan, fc.integer({ min: 1, max: 6 }), (steps, lengthMax) => {
      const queue = new FairQueue<number>(() => lengthMax);
      const model = new Model();
      steps.forEach((step, index) => {
        if (step.do === 'add') {
          const wasFull = model.tickets.length === lengthMax;
          const most = Math.max(0, ...model.turns.map((each) => model.of(each).length));
          const added = queue.add(step.owner, index);
          const takesPlace = wasFull && most >= model.of(step.owner).length + 2;
          expect(added.kind).toBe(wasFull && !takesPlace ? 'full' : 'waits');
          if (added.kind === 'full') return;
          expect(added.evicted !== undefined).toBe(takesPlace);
          if (added.evicted !== undefined) {
            expect(model.of(added.evicted.owner)).toHaveLength(most);
            expect(model.of(added.evicted.owner).at(-1)).toBe(added.evicted);
            model.drop(added.evicted);
          }
          if (!model.turns.includes(step.owner)) model.turns.push(step.owner);
          model.tickets.push(added.ticket);
        } else if (step.do === 'take') {
          const [turn] = model.turns;
          const expected = turn === undefined ? undefined : model.of(turn)[0];
          expect(queue.take()).toBe(expected);
          if (expected === undefined) return;
          model.turns.shift();
          if (model.of(expected.owner).length > 1) model.turns.push(expected.owner);
          model.tickets = model.tickets.filter((each) => each !== expected);
        } else {
          const leaver = model.tickets[step.which];
          if (leaver === undefined) return;
          expect(queue.remove(leaver)).toBe(true);
          model.drop(leaver);
        }
        expect(queue.length).toBe(model.tickets.length);
        expect(queue.length).toBeLessThanOrEqual(lengthMax);
      });
    }),
    { numRuns: 500 },
  );
});

test('nobody waits for more than one turn of every other owner for each of its own', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 60 }),
      (owners) => {
        const queue = new FairQueue<number>(() => 100);
        owners.forEach((owner, index) => queue.add(owner, index));
        const served: string[] = [];
        for (let next = queue.take(); next !== undefined; next = queue.take())
          served.push(next.owner);
        const distinct = new Set(owners).size;
        for (const owner of new Set(owners)) {
          const places = served.flatMap((each, index) => (each === owner ? [index] : []));
          places.forEach((place, nth) => expect(place).toBeLessThan((nth + 1) * distinct));
        }
      },
    ),
  );
});
