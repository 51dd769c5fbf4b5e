import type { ConnectionState, Received } from './client.ts';

/** The suite's own format; `note` in its file explains it. */
export type Verdict = 'pass' | 'warn' | 'fail' | 'error';
export type Range = readonly [number, number];
export type Tree =
  | Verdict
  | { readonly ask: Ask; readonly cases: readonly (readonly [unknown, Tree])[] };
export type Ask = string | Predicate;

export interface Predicate {
  readonly step: number;
  readonly body?: 'raw' | 'decoded';
  readonly header?: string;
  readonly echoedHeader?: string;
  readonly sentAs?: string;
  readonly op?: string;
  readonly value?: string | readonly string[];
  readonly ignoreCase?: boolean;
}

export interface Expected {
  readonly status?: readonly Range[];
  readonly warn?: readonly Range[];
  readonly close?: Verdict;
  readonly timeout?: Verdict;
  readonly open?: Verdict;
  readonly depends?: readonly { readonly status: readonly Range[]; readonly tree: Tree }[];
  readonly tree?: Tree;
}

export interface StepResult {
  readonly executed: boolean;
  readonly text: string;
  readonly state: ConnectionState;
  readonly response: ParsedResponse | undefined;
}

export interface ParsedResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

const bodyCharactersMax = 4_096;

export function executedStep(received: Received): StepResult {
  return { executed: true, ...received, response: parseResponse(received.text) };
}

export function skippedStep(state: ConnectionState): StepResult {
  return { executed: false, text: '', state, response: undefined };
}

function parseResponse(text: string): ParsedResponse | undefined {
  const statusText = /^HTTP\/\S+ (\d+)/.exec(text)?.[1];
  if (statusText === undefined) return undefined;
  const end = text.indexOf('\r\n\r\n');
  const headers = new Map<string, string>();
  for (const line of (end === -1 ? text : text.slice(0, end)).split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    if (colon > 0)
      headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  const body = end === -1 ? '' : text.slice(end + 4, end + 4 + bodyCharactersMax);
  return { status: Number(statusText), headers, body };
}

/** The verdict on one request, or on the first of the steps where there is a tree for all. */
export function judge(expected: Expected, steps: readonly StepResult[]): Verdict {
  if (expected.tree !== undefined) return walk(expected.tree, steps);
  const [step] = steps;
  if (step === undefined) return 'error';
  const { response } = step;
  if (response === undefined) {
    return (
      { closed: expected.close, timeout: expected.timeout, open: expected.open }[step.state] ??
      'fail'
    );
  }
  if (inRanges(expected.status, response.status)) return 'pass';
  if (inRanges(expected.warn, response.status)) return 'warn';
  const branch = expected.depends?.find((one) => inRanges(one.status, response.status));
  return branch === undefined ? 'fail' : walk(branch.tree, steps);
}

function inRanges(ranges: readonly Range[] | undefined, status: number): boolean {
  return ranges?.some(([low, high]) => status >= low && status <= high) ?? false;
}

function walk(tree: Tree, steps: readonly StepResult[]): Verdict {
  let at: Tree = tree;
  while (typeof at !== 'string') {
    const fact = factOf(at.ask, steps);
    const next = at.cases.find(([answer]) => agrees(answer, fact));
    // A question that this reader cannot answer must not count for us.
    if (next === undefined) return 'fail';
    at = next[1];
  }
  return at;
}

function agrees(answer: unknown, fact: unknown): boolean {
  if (!Array.isArray(answer)) return answer === fact;
  return answer.some((range: unknown) => {
    if (!Array.isArray(range) || typeof fact !== 'number') return false;
    const [low, high]: readonly unknown[] = range;
    return typeof low === 'number' && typeof high === 'number' && fact >= low && fact <= high;
  });
}

function factOf(ask: Ask, steps: readonly StepResult[]): unknown {
  if (typeof ask !== 'string') {
    const step = steps[ask.step - 1];
    return step?.response === undefined ? undefined : predicateFact(ask, step.response);
  }
  const [, number, what] = /^step(\d+)\.(\w+)$/.exec(ask) ?? [];
  const step = steps[Number(number) - 1];
  if (step === undefined) return undefined;
  const facts: Readonly<Record<string, unknown>> = {
    connection: step.state,
    executed: step.executed,
    response: step.response === undefined ? 'none' : 'present',
    status: step.response?.status,
    statusLines: statusLines(step.text) >= 2 ? '2 or more' : '0 or 1',
  };
  return facts[what ?? ''];
}

function statusLines(text: string): number {
  return text.match(/HTTP\/\d\.\d \d{3}/g)?.length ?? 0;
}

function predicateFact(ask: Predicate, response: ParsedResponse): unknown {
  if (ask.echoedHeader !== undefined) return echoedFact(ask, response);
  const subject =
    ask.header === undefined
      ? bodyOf(ask, response)
      : response.headers.get(ask.header.toLowerCase());
  return test(ask, subject);
}

function bodyOf(ask: Predicate, response: ParsedResponse): string {
  return ask.body === 'decoded' ? decodedBody(response).trim() : response.body;
}

function decodedBody(response: ParsedResponse): string {
  if (response.headers.get('transfer-encoding') !== 'chunked') return response.body;
  let text = '';
  let rest = response.body;
  for (;;) {
    const [line, size] = /^([0-9A-Fa-f]+)\r\n/.exec(rest) ?? [];
    const length = Number.parseInt(size ?? '0', 16);
    if (line === undefined || length === 0) return text;
    text += rest.slice(line.length, line.length + length);
    rest = rest.slice(line.length + length + 2);
  }
}

function test(ask: Predicate, subject: string | undefined): boolean | undefined {
  if (ask.op === 'present') return subject !== undefined;
  if (subject === undefined) return false;
  const fold = (text: string): string => (ask.ignoreCase === true ? text.toLowerCase() : text);
  const text = fold(subject);
  const values = typeof ask.value === 'string' ? [ask.value] : (ask.value ?? []);
  const tests: Readonly<Record<string, () => boolean>> = {
    empty: () => subject === '',
    equals: () => values.some((value) => text === fold(value)),
    contains: () => values.every((value) => text.includes(fold(value))),
    containsAnyOf: () =>
      values.some((value) => Array.from(value).some((one) => text.includes(fold(one)))),
    'imf-fixdate': () => imfFixdate.test(subject),
  };
  return tests[ask.op ?? '']?.();
}

const imfFixdate =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** Under which name an echo shows a header; a standard name that shows another value was not renamed into it. */
function echoedFact(ask: Predicate, response: ParsedResponse): string {
  const lines = decodedBody(response)
    .split('\n')
    .map((line) => line.trimEnd());
  const standard = ask.echoedHeader?.toLowerCase();
  const shows = (same: (name: string) => boolean): boolean =>
    lines.some((line) => {
      const colon = line.indexOf(':');
      return same(line.slice(0, colon)) && line.slice(colon + 1).trim() === ask.value;
    });
  if (shows((name) => name.toLowerCase() === standard)) return 'seen under the standard name';
  return shows((name) => name === ask.sentAs) ? 'seen under the name as sent' : 'not seen';
}
