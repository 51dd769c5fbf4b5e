import { createHash } from 'node:crypto';
import { err, ok, utf8Text } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import { parseDocument } from '@postern/core/base/hujson';
import { appraisalPolicyOf } from '@postern/core/attest';
import type { AppraisalPolicy } from '@postern/core/attest';
import { parseAppraisal } from '@postern/core/contract/appraisal';
import { readInput } from './input.ts';

/** Reads an appraisal policy: HuJSON, strict. A text says where it is wrong, one line a mistake. */
export async function loadPolicy(file: string): Promise<Result<AppraisalPolicy, string>> {
  const bytes = await readInput(file);
  if (!bytes.ok) return bytes;
  const text = utf8Text(bytes.value);
  if (text === undefined) return err(`${file}: the file is not UTF-8`);
  const parsed = parseDocument(text);
  if (!parsed.ok) {
    const { line, column, message } = parsed.error;
    return err(
      `${file}:${line}:${column}: ${message.replace(/^hujson: line \d+, column \d+: /, '')}`,
    );
  }
  const document = parsed.value;
  const { value, problems } = document.plain;
  const mistakes = problems.map(({ offset, pointer, detail }) => {
    const { line, column } = document.positionAt(offset);
    return `${file}:${line}:${column}: ${pointer}: ${detail}`;
  });
  if (mistakes.length > 0) return err(mistakes.join('\n'));
  const policy = parseAppraisal(value);
  if ('policy' in policy) return ok(appraisalPolicyOf(policy.policy, generationOf(bytes.value)));
  const issues = policy.issues.map(({ pointer, message }) => {
    const { line, column } = document.nearestPosition(pointer);
    return `${file}:${line}:${column}: ${pointer === '' ? '' : `${pointer}: `}${message}`;
  });
  return err(issues.join('\n'));
}

/** A number that another file does not have; nothing is cached between two commands. */
function generationOf(bytes: Uint8Array): number {
  return createHash('sha256').update(bytes).digest().readUInt32BE(0);
}
