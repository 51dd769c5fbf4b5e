import type { Graph, ReadFolder } from './graph.ts';
import { buildGraph } from './graph.ts';
import type { Fields } from './value.ts';
import { isKnown, text } from './value.ts';

/** What a `run` block of a `*.tftest.hcl` file came to. */
export interface RunResult {
  readonly name: string;
  /** One sentence for each assertion that does not hold; empty: it passes. */
  readonly failures: readonly string[];
}

type Body = Readonly<Record<string, unknown>>;

/**
 * Runs the blocks of one parsed test file against the graph of its root, as `terraform test` would with a plan: variables, assertions and
 * `expect_failures`. An assertion about what only a cloud knows fails, and says so.
 */
export function runTestFile(root: string, parsed: unknown, read: ReadFolder): readonly RunResult[] {
  const file = bodyOf(parsed);
  const common = firstOf(file['variables']);
  return Object.entries(bodyOf(file['run'])).map(([name, raw]) => {
    const run = firstOf(raw);
    // Variables of a test file are literals.
    const given = { ...common, ...firstOf(run['variables']) } as Fields;
    return { name, failures: failuresOf(buildGraph(root, given, read), run) };
  });
}

function failuresOf(graph: Graph, run: Body): readonly string[] {
  const expected = listOf(run['expect_failures']).map(plainName);
  const missing = expected.filter((name) => !graph.refused.includes(name));
  const surprising = graph.refused.filter((name) => !expected.includes(name));
  if (missing.length > 0) return missing.map((name) => `${name} was expected to be refused`);
  if (surprising.length > 0) return surprising.map((name) => `${name} refuses what it was given`);
  if (expected.length > 0) return [];
  return listOf(run['assert']).flatMap((raw) => {
    const { condition, error_message: message } = bodyOf(raw);
    const value = graph.evaluate(condition);
    if (value === true) return [];
    const why = isKnown(value)
      ? text(graph.evaluate(message))
      : `not known before apply: ${text(value)}`;
    return [why];
  });
}

/** `${var.name}` is how the parser writes a bare reference. */
function plainName(raw: unknown): string {
  return typeof raw === 'string' ? raw.replaceAll(/^\$\{|\}$/gu, '') : '';
}

function bodyOf(raw: unknown): Body {
  // The parser gives plain objects; what is none has no members.
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) ? (raw as Body) : {};
}

function firstOf(raw: unknown): Body {
  return bodyOf(listOf(raw)[0]);
}

function listOf(raw: unknown): readonly unknown[] {
  return Array.isArray(raw) ? raw : raw === undefined ? [] : [raw];
}
