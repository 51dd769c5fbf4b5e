/** All the ways in which a device can stand to the postures of some policies, each with an example. */
import { meetsCondition, meetsPosture, type PostureAttributes } from '../compile/posture.ts';
import type { PolicyFile, PostureValue } from '../file/model.ts';
import { type PostureCondition, versionKeys } from '../file/posture.ts';

/** Classes kept. Beyond it the analysis says that it is not complete. */
export const postureClassesMax = 32;

export interface PostureClasses {
  /** One assignment of attributes for each class; the first sets nothing. */
  readonly assignments: readonly PostureAttributes[];
  readonly isComplete: boolean;
}

/** Two devices of one class meet the same postures in every one of the files. */
export function postureClasses(files: readonly PolicyFile[]): PostureClasses {
  const postures = files.flatMap((file) =>
    usedPostures(file).flatMap((name) => file.postures.get(name) ?? []),
  );
  const conditions = postures.flatMap((posture) => posture.conditions);
  const byKey = new Map<string, PostureCondition[]>();
  for (const condition of conditions) {
    byKey.set(condition.key, [...(byKey.get(condition.key) ?? []), condition]);
  }
  let assignments: PostureAttributes[] = [new Map()];
  let isComplete = true;
  for (const [key, list] of byKey) {
    const values = distinctValues(key, list);
    const product = assignments.flatMap((assignment) =>
      values.map((value) =>
        value === undefined ? assignment : new Map([...assignment, [key, value]]),
      ),
    );
    // Partial assignments that meet the same postures may still differ later, so none is dropped here.
    isComplete &&= product.length <= productMax;
    assignments = product.slice(0, productMax);
  }
  const distinct = new Map<string, PostureAttributes>();
  for (const attributes of assignments) {
    const key = postures.map((posture) => (meetsPosture(posture, attributes) ? '1' : '0')).join('');
    if (!distinct.has(key)) distinct.set(key, attributes);
  }
  isComplete &&= distinct.size <= postureClassesMax;
  return { assignments: [...distinct.values()].slice(0, postureClassesMax), isComplete };
}

const productMax = 4_096;

/** Names of postures that some rule asks for. */
function usedPostures(file: PolicyFile): readonly string[] {
  const rules = [...(file.acls ?? []), ...(file.grants ?? []), ...file.ssh];
  const named = rules.flatMap((rule) => rule.srcPosture ?? file.defaultSrcPosture);
  return [...new Set(named.map((name) => name.text))];
}

/** Values of one attribute, and its absence, one for each way to meet its conditions. */
function distinctValues(
  key: string,
  conditions: readonly PostureCondition[],
): readonly (PostureValue | undefined)[] {
  const distinct = new Map<string, PostureValue | undefined>();
  for (const value of candidates(key, conditions)) {
    const attributes =
      value === undefined ? new Map<string, PostureValue>() : new Map([[key, value]]);
    const truth = conditions.map((condition) =>
      meetsCondition(condition, attributes) ? '1' : '0',
    );
    if (!distinct.has(truth.join(''))) distinct.set(truth.join(''), value);
  }
  return [...distinct.values()];
}

/** Absent, every value that is mentioned, one that is not, and values between and beside those that are ordered. */
function candidates(
  key: string,
  conditions: readonly PostureCondition[],
): readonly (PostureValue | undefined)[] {
  const mentioned = conditions.flatMap((condition): readonly PostureValue[] => {
    if ('values' in condition) return condition.values;
    return 'value' in condition ? [condition.value] : [];
  });
  const numbers = mentioned.filter((value) => typeof value === 'number').sort((a, b) => a - b);
  const between = numbers.flatMap((value, i) => [
    value - 1,
    value,
    (value + (numbers[i + 1] ?? value + 2)) / 2,
  ]);
  const versions = versionKeys.has(key)
    ? [
        '0',
        ...mentioned.flatMap((value) => [
          String(value),
          `${String(value)}.0.1`,
          `${String(value)}.1`,
        ]),
      ]
    : [];
  return [undefined, ...mentioned, ...between, ...versions, 'unmentioned', true, false];
}
