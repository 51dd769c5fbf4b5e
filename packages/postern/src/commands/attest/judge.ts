import { finding, unreadable, evidenceChain, verifyEvidence } from '@postern/core/attest';
import type { EvidenceContext, Verification } from '@postern/core/attest';
import { err, ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import type { ExitCode, Invocation } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { contextFor } from './context.ts';
import { decodeEvidence, readInput } from './input.ts';
import { reportJson, reportText } from './report.ts';
import type { Report } from './report.ts';

export interface Verified {
  readonly report: Report;
  readonly context: EvidenceContext;
}

/** Reads and verifies the evidence of a command. A text is a mistake on the command line. */
export async function verifyInput(invocation: Invocation): Promise<Result<Verified, string>> {
  const input = await readInput(invocation.args['evidence']);
  if (!input.ok) return input;
  if (input.value.length === 0) return err('The evidence is empty.');
  const evidence = decodeEvidence(input.value);
  const told = await contextFor(evidence, invocation);
  if (!told.ok) return told;
  const { context, simulatorRoot } = told.value;
  const { kind, bytes } = evidence;
  const verification: Verification =
    kind === undefined
      ? unreadable(finding('malformed_evidence', 'no known form'))
      : verifyEvidence(kind, bytes, context);
  const chain = kind === undefined ? [] : evidenceChain(kind, bytes, context);
  const isSimulated = simulatorRoot !== undefined && chain.at(-1)?.hash === simulatorRoot;
  const report = { kind, verification, chain, refusals: undefined, isSimulated };
  return ok({ report: { ...report, nowMs: context.nowMs }, context });
}

/** Prints a report and gives the exit code of its judgement. */
export function answer({ io }: Invocation, report: Report): ExitCode {
  if (io.json) io.outJson(reportJson(report));
  else io.out(reportText(report));
  const isReadable = report.verification.claims !== undefined;
  const isYes = report.refusals === undefined ? isReadable : report.refusals.length === 0;
  return isYes ? exitCodes.ok : exitCodes.failed;
}

export function misuse({ io }: Invocation, message: string): ExitCode {
  io.err(message);
  return exitCodes.usage;
}
