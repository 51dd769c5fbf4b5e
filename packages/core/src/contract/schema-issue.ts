import { z } from 'zod';
import { SchemaPlace } from './schema-place.ts';

/** One thing in a file that its schema does not allow. */
export interface SchemaIssue {
  /** JSON pointer of the value at fault. */
  readonly pointer: string;
  /** What is wrong there and what would be right. Never the value itself: it may be a secret in the wrong place. */
  readonly message: string;
}

/** Says of a value that does not fit what a person can do about it: each thing at its own place. */
export function schemaIssues(
  schema: z.ZodType,
  value: unknown,
  { issues }: z.ZodError,
): readonly SchemaIssue[] {
  const document = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  const root = new SchemaPlace([document], value);
  return issues.flatMap((issue) => issuesAt({ path: [], place: root }, issue));
}

interface Spot {
  readonly path: readonly PropertyKey[];
  readonly place: SchemaPlace;
}

function issuesAt(above: Spot, issue: z.core.$ZodIssue): readonly SchemaIssue[] {
  const spot = issue.path.reduce<Spot>(inside, above);
  if (issue.code === 'unrecognized_keys') {
    const fault = `there is no such key here${choice(spot.place.keys())}`;
    return issue.keys.map((key) => said(inside(spot, key), fault));
  }
  if (issue.code !== 'invalid_union') return [said(spot, complaint(issue, spot.place))];
  const meant = meantOf(issue.errors);
  return meant === undefined
    ? [said(spot, explained(unionFault(issue, spot.place), spot.place))]
    : meant.flatMap((inner) => issuesAt(spot, inner));
}

const inside = ({ path, place }: Spot, part: PropertyKey): Spot => ({
  path: [...path, part],
  place: place.at(part),
});

const said = ({ path }: Spot, message: string): SchemaIssue => ({
  pointer: path
    .map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join(''),
  message,
});

const choice = (keys: readonly string[]): string =>
  keys.length === 0 ? '' : `; what there is: ${keys.join(', ')}`;

type Alternative = readonly z.core.$ZodIssue[];

/** The one alternative that a value was meant to be: it has the right type and fewer faults than any other. */
function meantOf(alternatives: readonly Alternative[]): Alternative | undefined {
  const [first, second] = alternatives
    .filter((issues) => !issues.some(isOfOtherType))
    .toSorted((one, other) => one.length - other.length);
  return second === undefined || (first?.length ?? 0) < second.length ? first : undefined;
}

const isOfOtherType = ({ code, path }: z.core.$ZodIssue): boolean =>
  path.length === 0 && (code === 'invalid_type' || code === 'invalid_value');

function complaint(issue: z.core.$ZodIssue, place: SchemaPlace): string {
  if (issue.code === 'custom') return issue.message;
  const isPattern = issue.message.startsWith('Invalid string: must match pattern');
  const isTold = isPattern && place.description !== undefined;
  return explained(isTold ? 'does not fit' : lowered(issue.message), place);
}

function unionFault(issue: z.core.$ZodIssueInvalidUnion, place: SchemaPlace): string {
  if ('options' in issue) return `expected one of ${issue.options?.map(quoted).join(', ') ?? ''}`;
  const expected = issue.errors.flatMap((issues) => issues.filter(isOfOtherType).map(expectedOf));
  const isAll = expected.length >= issue.errors.length;
  const fault = isAll ? `expected ${[...new Set(expected)].join(' or ')}` : 'does not fit';
  return `${fault}${choice(place.keys())}`;
}

function expectedOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value') return issue.values.map(quoted).join(' or ');
  if (issue.code !== 'invalid_type') return issue.message;
  return issue.expected === 'record' ? 'object' : issue.expected;
}

const quoted = (value: unknown): string =>
  typeof value === 'string' ? `"${value}"` : String(value);

function explained(fault: string, { description, value }: SchemaPlace): string {
  const whole =
    value === undefined ? `is missing; ${fault.replace(/, received undefined$/, '')}` : fault;
  return description === undefined ? whole : `${whole}. ${description}`;
}

/** "Invalid input: expected string, received number" without what the pointer before it says. */
const lowered = (message: string): string =>
  message
    .replace(/^Invalid (?:input|option|string): /, '')
    .replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
