/** Both files read and compiled, as every check needs them. */
import {
  runSshTests,
  runTests,
  type Tailnet,
  type TestOutcome,
  compileTailnet,
} from '../compile/index.ts';
import type { PolicyFile } from '../file/index.ts';
import {
  type Comparison,
  type Relation,
  selectSources,
  selectTargets,
  type SourceAtom,
  type TargetAtom,
} from '../reason/index.ts';
import type { ChangeRequest } from './request.ts';

export interface ChangeContext {
  readonly request: ChangeRequest;
  readonly before: PolicyFile;
  readonly after: PolicyFile;
  readonly comparison: Comparison;
}

/** Atoms that any of the words names; words that name nothing add nothing. */
export function sourcesOf(relation: Relation, words: readonly string[]): ReadonlySet<SourceAtom> {
  return new Set(
    words.flatMap((word) => {
      const found = selectSources(relation, word);
      return found.ok ? found.value : [];
    }),
  );
}

export function targetsOf(relation: Relation, words: readonly string[]): ReadonlySet<TargetAtom> {
  return new Set(
    words.flatMap((word) => {
      const found = selectTargets(relation, word);
      return found.ok ? found.value : [];
    }),
  );
}

/** The tests of one file run against the rules of another. */
export function runTestsOf(
  tests: PolicyFile,
  rules: PolicyFile,
  { inventory }: ChangeRequest,
): { readonly tailnet: Tailnet; readonly outcomes: readonly TestOutcome[] } {
  const file = { ...rules, tests: tests.tests, sshTests: tests.sshTests };
  const tailnet = compileTailnet(file, inventory);
  return { tailnet, outcomes: [...runTests(tailnet), ...runSshTests(tailnet)] };
}
