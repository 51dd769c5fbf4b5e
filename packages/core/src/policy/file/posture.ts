/** Posture conditions, `KEY OP VALUE`: their grammar. What they mean for a node is in `compile/posture`. */
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';
import type { Position } from './source.ts';

export type PostureScalar = string | number | boolean;

export type PostureOrder = '<' | '<=' | '>' | '>=';

export type PostureTest =
  | { readonly op: '==' | '!='; readonly value: PostureScalar }
  | { readonly op: PostureOrder; readonly value: string | number }
  | { readonly op: 'IN' | 'NOT IN'; readonly values: readonly PostureScalar[] }
  | { readonly op: 'IS SET' | 'NOT SET' };

export type PostureCondition = PostureTest & {
  /** `node:os`, `custom:tier`. */
  readonly key: string;
  readonly text: string;
  readonly at: Position;
};

/** A named posture: all of its conditions hold. */
export interface Posture {
  readonly name: string;
  readonly conditions: readonly PostureCondition[];
  readonly at: Position;
}

/** The keys that compare as versions; every other ordered comparison is of numbers. */
export const versionKeys: ReadonlySet<string> = new Set(['node:osVersion', 'node:tsVersion']);

const keyPattern = /^([A-Za-z][A-Za-z0-9_-]*:[A-Za-z0-9_.-]+)\s*/;
const opPattern = /^(==|!=|<=|>=|<|>|IS\s+SET\b|NOT\s+SET\b|NOT\s+IN\b|IN\b)\s*/i;
const scalarPattern =
  /^(?:'([^']*)'|"([^"]*)"|(-?[0-9]+(?:\.[0-9]+)?)(?![0-9A-Za-z.])|(true|false)\b)\s*/i;

export function parsePostureCondition(
  text: string,
  at: Position,
): Result<PostureCondition, string> {
  const refuse = (why: string): Result<PostureCondition, string> =>
    err(`invalid posture condition ${goQuote(text)}: ${why}`);
  const key = keyPattern.exec(text);
  if (key === null) return refuse('it must start with an attribute such as node:os');
  const rest = text.slice(key[0].length);
  const op = opPattern.exec(rest);
  if (op === null) return refuse('unknown operator');
  const test = parseTest(op[1] ?? '', rest.slice(op[0].length), key[1] ?? '');
  return test.ok ? ok({ ...test.value, key: key[1] ?? '', text, at }) : refuse(test.error);
}

function parseTest(opText: string, operand: string, key: string): Result<PostureTest, string> {
  const op = opText.toUpperCase().replaceAll(/\s+/g, ' ');
  switch (op) {
    case 'IS SET':
    case 'NOT SET':
      return operand === '' ? ok({ op }) : err(`nothing may follow ${op}`);
    case 'IN':
    case 'NOT IN': {
      const values = parseList(operand);
      return values.ok ? ok({ op, values: values.value }) : values;
    }
    case '==':
    case '!=': {
      const value = parseOnly(operand);
      return value.ok ? ok({ op, value: value.value }) : value;
    }
    case '<':
    case '<=':
    case '>':
    case '>=': {
      const value = parseOnly(operand);
      return value.ok ? parseOrder(op, value.value, key) : value;
    }
    default:
      return err('unknown operator');
  }
}

function parseOrder(
  op: PostureOrder,
  value: PostureScalar,
  key: string,
): Result<PostureTest, string> {
  if (typeof value === 'number') return ok({ op, value });
  if (typeof value === 'string' && versionKeys.has(key)) return ok({ op, value });
  return err(`${op} compares only numbers and versions`);
}

function parseOnly(text: string): Result<PostureScalar, string> {
  const scalar = takeScalar(text);
  if (!scalar.ok) return scalar;
  return scalar.value.rest === '' ? ok(scalar.value.value) : err('text after the value');
}

interface Taken {
  readonly value: PostureScalar;
  readonly rest: string;
}

function takeScalar(text: string): Result<Taken, string> {
  const match = scalarPattern.exec(text);
  if (match === null) return err("values are 'text' in single quotes, numbers, true or false");
  const rest = text.slice(match[0].length);
  const [, single, double, number, flag] = match;
  if (number !== undefined) return ok({ value: Number(number), rest });
  if (flag !== undefined) return ok({ value: flag.toLowerCase() === 'true', rest });
  return ok({ value: single ?? double ?? '', rest });
}

function parseList(text: string): Result<readonly PostureScalar[], string> {
  const values: PostureScalar[] = [];
  if (!text.startsWith('[')) return err("a list is written as ['a', 'b']");
  let rest = text.slice(1).trimStart();
  while (!rest.startsWith(']')) {
    const scalar = takeScalar(rest);
    if (!scalar.ok) return scalar;
    values.push(scalar.value.value);
    rest = scalar.value.rest;
    if (rest.startsWith(',')) rest = rest.slice(1).trimStart();
    else if (!rest.startsWith(']')) return err('list without an end');
  }
  if (values.length === 0) return err('empty list');
  return rest.slice(1).trim() === '' ? ok(values) : err('text after the list');
}
