import type { Expression } from './expression.ts';
import type { Value } from './value.ts';
import { asList, functions, isFields, isKnown, Reference, Text, text, Unknown } from './value.ts';

/** Resolves a name with what follows it (`var.name`, `module.router.private_ip`, `aws_vpc.this.id`). */
export type Lookup = (path: readonly (string | number)[]) => Value;

export interface Scope {
  readonly lookup: Lookup;
  /** Names of a `for` or a block that repeats. */
  readonly names: Readonly<Record<string, Value>>;
}

/** Evaluates an expression. What the text does not tell comes out as a reference or an unknown, never as a guess. */
export function evaluate(expression: Expression, scope: Scope): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'template':
      return template(expression.parts, scope);
    case 'tuple':
      return expression.items.map((item) => evaluate(item, scope));
    case 'object':
      return Object.fromEntries(
        expression.entries.map(([key, value]) => [
          text(evaluate(key, scope)),
          evaluate(value, scope),
        ]),
      );
    case 'name':
    case 'attribute':
    case 'index':
      return traversal(expression, scope);
    case 'splat': {
      const of = evaluate(expression.of, scope);
      return isKnown(of) ? asList(of) : [of];
    }
    case 'call':
      return call(expression.name, expression.args, scope);
    case 'unary':
      return unary(expression.operator, evaluate(expression.of, scope));
    case 'binary':
      return binary(expression, scope);
    case 'conditional': {
      const test = evaluate(expression.test, scope);
      if (!isKnown(test)) return new Unknown('the condition is not known');
      return evaluate(test === true ? expression.whenTrue : expression.whenFalse, scope);
    }
    case 'for':
      return each(expression, scope);
  }
}

function template(parts: readonly (string | Expression)[], scope: Scope): Value {
  return parts
    .map((part) => (typeof part === 'string' ? part : text(evaluate(part, scope))))
    .join('');
}

/** A path from a name: `for` names first, then the scope's own look-up with as much of the path as is literal. */
function traversal(expression: Expression, scope: Scope): Value {
  const steps: (string | number)[] = [];
  let at = expression;
  while (at.kind === 'attribute' || at.kind === 'index') {
    const step = at.kind === 'attribute' ? at.name : evaluate(at.at, scope);
    steps.unshift(typeof step === 'number' ? step : text(step));
    at = at.of;
  }
  if (at.kind !== 'name') return steps.reduce<Value>(take, evaluate(at, scope));
  const local = scope.names[at.name];
  return local === undefined ? scope.lookup([at.name, ...steps]) : steps.reduce<Value>(take, local);
}

/** One step into a value. Into what is not known, the address grows. */
export function take(of: Value, step: string | number): Value {
  if (of instanceof Reference)
    return new Reference(
      typeof step === 'number' ? `${of.address}[${step}]` : `${of.address}.${step}`,
    );
  if (of instanceof Unknown || of instanceof Text) return of;
  if (Array.isArray(of)) return (of as readonly Value[])[Number(step)] ?? null;
  if (isFields(of)) return of[String(step)] ?? null;
  return null;
}

function call(name: string, args: readonly Expression[], scope: Scope): Value {
  if (name === 'try' || name === 'can') {
    try {
      const first = args[0] === undefined ? null : evaluate(args[0], scope);
      return name === 'can' ? true : first;
    } catch {
      return name === 'can' ? false : args[1] === undefined ? null : evaluate(args[1], scope);
    }
  }
  const known = functions[name];
  const values = args.map((arg) => evaluate(arg, scope));
  if (known === undefined) return new Unknown(`${name}(…)`);
  return known(values);
}

function unary(operator: string, of: Value): Value {
  if (!isKnown(of)) return of;
  return operator === '!' ? of !== true : -Number(of);
}

function binary({ operator, left, right }: Expression & { kind: 'binary' }, scope: Scope): Value {
  const a = evaluate(left, scope);
  if (operator === '&&' && a === false) return false;
  if (operator === '||' && a === true) return true;
  const b = evaluate(right, scope);
  // A reference is something that will be made: it is not null.
  if ((operator === '==' || operator === '!=') && (a === null || b === null))
    return (operator === '==') === (a === b);
  if (!isKnown(a) || !isKnown(b)) return new Unknown(`${operator} of what is not known`);
  return compute(operator, a, b);
}

function compute(operator: string, a: Value, b: Value): Value {
  switch (operator) {
    case '==':
      return JSON.stringify(a) === JSON.stringify(b);
    case '!=':
      return JSON.stringify(a) !== JSON.stringify(b);
    case '&&':
      return a === true && b === true;
    case '||':
      return a === true || b === true;
    case '<':
      return Number(a) < Number(b);
    case '>':
      return Number(a) > Number(b);
    case '<=':
      return Number(a) <= Number(b);
    case '>=':
      return Number(a) >= Number(b);
    case '+':
      return Number(a) + Number(b);
    case '-':
      return Number(a) - Number(b);
    case '*':
      return Number(a) * Number(b);
    case '/':
      return Number(a) / Number(b);
    default:
      return Number(a) % Number(b);
  }
}

function each(expression: Expression & { kind: 'for' }, scope: Scope): Value {
  const over = evaluate(expression.over, scope);
  if (!isKnown(over)) return over;
  const entries: [string | number, Value][] = isFields(over)
    ? Object.entries(over)
    : asList(over).map((value, index) => [index, value]);
  const made: [Value, Value][] = [];
  for (const [key, value] of entries) {
    const names = {
      ...scope.names,
      [expression.value]: value,
      ...(expression.key === undefined ? {} : { [expression.key]: key }),
    };
    const inner = { ...scope, names };
    if (expression.when !== undefined && evaluate(expression.when, inner) !== true) continue;
    const name = expression.makesKey === undefined ? key : evaluate(expression.makesKey, inner);
    made.push([name, evaluate(expression.makes, inner)]);
  }
  return expression.makesKey === undefined
    ? made.map(([, value]) => value)
    : Object.fromEntries(made.map(([key, value]) => [text(key), value]));
}
