/** The tests of the file in force guard the next file, whatever that one says about tests. */
import type { PolicyFile, PolicyTest, SshTest } from '../file/index.ts';
import { canonicalText } from '../reason/index.ts';
import { type ChangeContext, runTestsOf } from './context.ts';
import { type ChangeFinding, placeOf } from './finding.ts';

export function ratchetFindings(context: ChangeContext): readonly ChangeFinding[] {
  return [...brokenTests(context), ...missingExpectations(context)];
}

/** Tests that pass today and would fail, also where the candidate no longer has them. */
function brokenTests({ before, after, request }: ChangeContext): readonly ChangeFinding[] {
  const today = runTestsOf(before, before, request).outcomes;
  const next = runTestsOf(before, after, request).outcomes;
  return next.flatMap((outcome, i): readonly ChangeFinding[] => {
    if (outcome.passed || today[i]?.passed === false) return [];
    const message = `a test of the policy in force would fail: ${outcome.src}: ${outcome.errors.join('; ')}`;
    const at = placeOf('current', outcome.at);
    return [{ code: 'test_ratchet', severity: 'hold', message, at, witness: undefined }];
  });
}

/** Single expectations of tests: how they are split into tests does not matter. */
function missingExpectations({ before, after }: ChangeContext): readonly ChangeFinding[] {
  const still = new Set(expectationsOf(after).map(({ key }) => key));
  const missing = expectationsOf(before).filter(({ key }) => !still.has(key));
  const [first] = missing;
  if (first === undefined) return [];
  const isAll = still.size === 0;
  const count =
    missing.length === 1 ? 'a test expectation is' : `${missing.length} test expectations are`;
  const what = isAll ? 'all tests are removed' : `${count} removed`;
  const message = `${what}, the first is that ${first.text}: without it nothing stops the change that it was written against`;
  const at = placeOf('current', first.at);
  return [{ code: 'test_ratchet', severity: 'hold', message, at, witness: undefined }];
}

interface Expectation {
  readonly key: string;
  readonly text: string;
  readonly at: PolicyTest['at'];
}

function expectationsOf(file: PolicyFile): readonly Expectation[] {
  return [
    ...file.tests.flatMap((test) => networkExpectations(test)),
    ...file.sshTests.flatMap((test) => sshExpectations(test)),
  ];
}

function networkExpectations(test: PolicyTest): readonly Expectation[] {
  const src = test.src?.text ?? '';
  const proto = test.proto?.text ?? '';
  const posture = canonicalText(Object.fromEntries(test.srcPostureAttrs));
  const of = (verb: string, text: string): Expectation => ({
    key: canonicalText(['network', src, proto, posture, verb, text]),
    text: `${src} ${verb} ${text}`,
    at: test.at,
  });
  return [
    ...test.accept.map(({ text }) => of('reaches', text)),
    ...test.deny.map(({ text }) => of('does not reach', text)),
  ];
}

function sshExpectations(test: SshTest): readonly Expectation[] {
  const src = test.src?.text ?? '';
  const posture = canonicalText(Object.fromEntries(test.srcPostureAttrs));
  return (['accept', 'check', 'deny'] as const).flatMap((verb) =>
    test[verb].flatMap((user) =>
      test.dst.map((dst) => ({
        key: canonicalText(['ssh', src, posture, verb, user.text, dst.text]),
        text: `${src} as ${user.text} on ${dst.text}: ${verb}`,
        at: test.at,
      })),
    ),
  );
}
