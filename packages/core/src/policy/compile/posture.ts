/** Whether a device meets a posture. An attribute that is not set meets nothing but `NOT SET`. */
import { unreachable } from '../../base/assert.ts';
import type { PolicyFile, PostureValue } from '../file/model.ts';
import {
  type Posture,
  type PostureCondition,
  type PostureOrder,
  versionKeys,
} from '../file/posture.ts';
import { compareVersions } from './version.ts';

export type PostureAttributes = ReadonlyMap<string, PostureValue>;

/** All conditions hold. A posture without conditions is met by every device. */
export function meetsPosture(posture: Posture, attributes: PostureAttributes): boolean {
  return posture.conditions.every((condition) => meetsCondition(condition, attributes));
}

/** One of the named postures is met; no names, no restriction. A name without a posture is met by nobody. */
export function meetsAnyPosture(
  names: readonly string[],
  file: PolicyFile,
  attributes: PostureAttributes,
): boolean {
  if (names.length === 0) return true;
  return names.some((name) => {
    const posture = file.postures.get(name);
    return posture !== undefined && meetsPosture(posture, attributes);
  });
}

export function meetsCondition(
  condition: PostureCondition,
  attributes: PostureAttributes,
): boolean {
  const actual = attributes.get(condition.key);
  switch (condition.op) {
    case 'IS SET':
      return actual !== undefined;
    case 'NOT SET':
      return actual === undefined;
    case '==':
      return actual !== undefined && actual === condition.value;
    case '!=':
      return actual !== undefined && actual !== condition.value;
    case 'IN':
      return actual !== undefined && condition.values.includes(actual);
    case 'NOT IN':
      return actual !== undefined && !condition.values.includes(actual);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return actual !== undefined && holdsOrder(condition.op, condition, actual);
    default:
      return unreachable(condition);
  }
}

function holdsOrder(
  op: PostureOrder,
  condition: { readonly key: string; readonly value: string | number },
  actual: PostureValue,
): boolean {
  const order = compareValues(condition.key, actual, condition.value);
  if (order === undefined) return false;
  switch (op) {
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    default:
      return unreachable(op);
  }
}

/** Undefined where the two cannot be ordered. */
function compareValues(
  key: string,
  actual: PostureValue,
  wanted: string | number,
): number | undefined {
  if (versionKeys.has(key)) return compareVersions(String(actual), String(wanted));
  return typeof actual === 'number' && typeof wanted === 'number' ? actual - wanted : undefined;
}
