import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Table } from './table.ts';

describe('an immutable table', () => {
  test('behaves as a Map does, and every older version stays as it was', () => {
    const key = fc.string({ maxLength: 2 });
    const step = fc.record({ key, isSet: fc.boolean(), value: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        let table = Table.empty<{ readonly value: number }>();
        const model = new Map<string, { readonly value: number }>();
        const history: [Table<{ readonly value: number }>, Map<string, unknown>][] = [];
        for (const { key, isSet, value } of steps) {
          history.push([table, new Map(model)]);
          if (isSet) {
            table = table.set(key, { value });
            model.set(key, { value });
          } else {
            table = table.delete(key);
            model.delete(key);
          }
        }
        history.push([table, model]);
        for (const [version, entries] of history) {
          expect(version.size).toBe(entries.size);
          for (const [name, value] of entries) expect(version.get(name)).toEqual(value);
          expect([...version.values()].length).toBe(entries.size);
        }
      }),
    );
  });

  test('built at once it holds the same as built one by one', () => {
    const entries = Array.from({ length: 5_000 }, (_, i) => [`key ${i}`, { i }] as const);
    const table = Table.of(entries);
    expect(table.size).toBe(5_000);
    for (const [key, value] of entries) expect(table.get(key)).toBe(value);
    expect(table.get('key 5000')).toBeUndefined();
    expect(table.delete('key 7').get('key 7')).toBeUndefined();
    expect(table.delete('key 7').size).toBe(4_999);
  });

  test('keys whose hashes collide are still told apart', () => {
    // FNV-1a over these pairs is equal in all 32 bits.
    const words = ['costarring', 'liquid', 'declinate', 'macallums', 'altarage', 'zinke'];
    let table = Table.empty<{ readonly word: string }>();
    for (const word of words) table = table.set(word, { word });
    for (const word of words) expect(table.get(word)).toEqual({ word });
  });
});
