/**
 * Sends byte strings to every kind of listener and judges what comes back. A case passes only if every listener
 * passes. Format: `{hostHeader, cases:[{id, scored, requestBase64 | steps, expected}]}`.
 */
import { readFileSync } from 'node:fs';
import { type Door, RawClient } from './http-framing/client.ts';
import { openStage } from './http-framing/listeners.ts';
import { openMeshDoors } from './http-framing/mesh-doors.ts';
import {
  executedStep,
  type Expected,
  judge,
  type ParsedResponse,
  skippedStep,
  type StepResult,
  type Verdict,
} from './http-framing/verdict.ts';
import type { CaseResult, Suite } from './suite.ts';

interface FramingStep {
  readonly requestBase64: string;
  /** The request repeats these values of the first answer. */
  readonly dependsOnFirstResponseHeaders?: Readonly<Record<string, string>>;
  readonly requestWithoutHeaderBase64?: string;
}

interface FramingCase {
  readonly id: string;
  readonly scored?: boolean;
  readonly requestBase64?: string;
  readonly steps?: readonly FramingStep[];
  readonly expected: Expected;
}

/** Cases in flight: most wait for five seconds of silence. */
const parallelMax = 12;

export const suite: Suite = async function* suite(files) {
  const stage = await openStage();
  const mesh = await openMeshDoors(stage.anyNamePort);
  const doors = new Map([...stage.doors, ...mesh.doors]);
  try {
    const cases = files.flatMap(readCases);
    const pending: Promise<CaseResult>[] = [];
    let next = 0;
    for (let shown = 0; shown < cases.length; shown += 1) {
      for (; next < cases.length && next < shown + parallelMax; next += 1) {
        const one = cases[next];
        if (one !== undefined) pending.push(runCase(one, doors));
      }
      // oxlint-disable-next-line no-await-in-loop -- verdicts are shown in the order of the cases
      const result = await pending[shown];
      if (result !== undefined) yield result;
    }
  } finally {
    await mesh.close();
    await stage.close();
  }
};

function readCases(file: string): readonly FramingCase[] {
  // The format is fixed by the suite; a file of another shape has no cases.
  const content = JSON.parse(readFileSync(file, 'utf8')) as { cases?: readonly FramingCase[] };
  return content.cases ?? [];
}

async function runCase(one: FramingCase, doors: ReadonlyMap<string, Door>): Promise<CaseResult> {
  const runs = [...doors].map(async ([name, door]): Promise<readonly [string, Verdict, string]> => {
    const steps = await runSteps(one, door);
    const shown = steps.map((step) => `${step.response?.status ?? 'none'}/${step.state}`).join(' ');
    return [name, judge(one.expected, steps), shown];
  });
  const verdicts = await Promise.all(runs);
  const bad = verdicts.filter(([, verdict]) => verdict === 'fail' || verdict === 'error');
  const why = [...new Set(verdicts.map(([, verdict, shown]) => `${verdict} (${shown})`))].join(
    '; ',
  );
  if (bad.length === 0) return { id: one.id, pass: true, why };
  const where = bad.map(([name, verdict, shown]) => `${name}: ${verdict} (${shown})`).join('; ');
  return one.scored === false
    ? { id: one.id, pass: true, why: `not scored: ${where}` }
    : { id: one.id, pass: false, why: where };
}

async function runSteps(one: FramingCase, door: Door): Promise<readonly StepResult[]> {
  const client = await RawClient.open(door);
  const results: StepResult[] = [];
  try {
    for (const step of one.steps ?? [{ requestBase64: one.requestBase64 ?? '' }]) {
      const before = results.at(-1);
      if (before !== undefined && before.state !== 'open') {
        results.push(skippedStep(before.state));
      } else {
        const bytes = withInserted(bytesOf(step, results[0]?.response), door.insert);
        // oxlint-disable-next-line no-await-in-loop -- steps of one connection
        results.push(executedStep(await client.exchange(bytes)));
      }
    }
    return results;
  } finally {
    client.close();
  }
}

/** Field lines behind the first line of a request, in whatever way that line ends; empty lines may come before it. */
function withInserted(bytes: Uint8Array, insert: string | undefined): Uint8Array {
  if (insert === undefined) return bytes;
  const text = Buffer.from(bytes).toString('latin1');
  const first = /^(?:\r?\n)*[^\n]*\n/.exec(text)?.[0] ?? '';
  if (first === '') return bytes;
  return Buffer.from(first + insert + text.slice(first.length), 'latin1');
}

/** Steps repeat validators of the first answer: the file has those of its own run, ours may be others. */
function bytesOf(step: FramingStep, first: ParsedResponse | undefined): Uint8Array {
  const bytes = Buffer.from(step.requestBase64, 'base64');
  const assumed = Object.entries(step.dependsOnFirstResponseHeaders ?? {});
  let text = bytes.toString('latin1');
  for (const [name, value] of assumed) {
    const actual = first?.headers.get(name.toLowerCase());
    if (actual === undefined && text.includes(value) && step.requestWithoutHeaderBase64) {
      return Buffer.from(step.requestWithoutHeaderBase64, 'base64');
    }
    if (actual !== undefined) text = text.replace(value, () => actual);
  }
  return Buffer.from(text, 'latin1');
}
