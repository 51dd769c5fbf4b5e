import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { meetsPosture } from '../compile/posture.ts';
import type { PostureValue } from '../file/model.ts';
import { postureClasses, postureClassesMax } from './posture-classes.ts';
import { fileOf } from './testing/policies.ts';

const conditions = [
  "node:os == 'macos'",
  "node:os != 'linux'",
  "node:os IN ['macos', 'windows']",
  "node:os NOT IN ['ios']",
  "node:osVersion >= '15.0'",
  "node:osVersion < '15.2.1'",
  "node:tsVersion > '1.40'",
  'custom:tier >= 2',
  'custom:tier < 5',
  'custom:tier == 2',
  'custom:managed == true',
  'custom:managed IS SET',
  'custom:other NOT SET',
] as const;

const policy = fc
  .array(fc.uniqueArray(fc.constantFrom(...conditions), { minLength: 1, maxLength: 3 }), {
    minLength: 1,
    maxLength: 3,
  })
  .map((postures) => ({
    postures: Object.fromEntries(postures.map((list, i) => [`posture:p${i}`, list])),
    grants: [
      { src: ['*'], dst: ['*'], ip: ['*'], srcPosture: postures.map((_, i) => `posture:p${i}`) },
    ],
  }));

const attributes = fc
  .record(
    {
      'node:os': fc.constantFrom('macos', 'linux', 'windows', 'ios', 'freebsd'),
      'node:osVersion': fc.constantFrom('14.9', '15.0', '15.1', '15.2.1', '15.3', '3'),
      'node:tsVersion': fc.constantFrom('1.40', '1.40.1', '1.9', '1.80.2'),
      'custom:tier': fc.oneof(fc.integer({ min: 0, max: 7 }), fc.constant('gold')),
      'custom:managed': fc.oneof(fc.boolean(), fc.constant('yes')),
      'custom:other': fc.string(),
    },
    { requiredKeys: [] },
  )
  .map((record) => new Map<string, PostureValue>(Object.entries(record)));

test('every device is in a class: its example meets exactly the postures that the device meets', () => {
  fc.assert(
    fc.property(policy, attributes, (value, device) => {
      const file = fileOf(value);
      const { assignments, isComplete } = postureClasses([file]);
      expect(isComplete).toBe(true);
      const truth = (of: typeof device): string =>
        [...file.postures.values()].map((posture) => String(meetsPosture(posture, of))).join();
      expect(assignments.map((assignment) => truth(new Map(assignment)))).toContain(truth(device));
    }),
    { numRuns: 300 },
  );
});

test('postures that no rule asks for make no classes', () => {
  const file = fileOf({ postures: { 'posture:x': ["node:os == 'macos'"] }, grants: [] });
  expect(postureClasses([file])).toEqual({ assignments: [new Map()], isComplete: true });
});

test('more classes than the limit are cut off, and that is said', () => {
  const postures = Object.fromEntries(
    Array.from({ length: 7 }, (_, i) => [`posture:p${i}`, [`custom:k${i} == true`]]),
  );
  const grants = [{ src: ['*'], dst: ['*'], ip: ['*'], srcPosture: Object.keys(postures) }];
  const { assignments, isComplete } = postureClasses([fileOf({ postures, grants })]);
  expect(assignments).toHaveLength(postureClassesMax);
  expect(isComplete).toBe(false);
});
