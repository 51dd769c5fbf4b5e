import type { Result } from '../../base/index.ts';
import { editMembers, objectText, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { RequestPatch } from '../dialect.ts';

/**
 * The caller's own text with model and cap set, and usage asked for where it streams. Shared by OpenAI's two
 * generation routes, which differ in the names of the cap only.
 */
export function patchOpenAi(
  text: string,
  patch: RequestPatch,
  capNames: readonly [string, ...(readonly string[])],
): Result<string, Refusal> {
  const document = objectText(text);
  const members = document.members();
  const valueOf = (name: string): string | undefined => {
    const member = members.findLast((candidate) => candidate.name === name);
    const value = member === undefined ? undefined : text.slice(member.valueStart, member.valueEnd);
    return value === 'null' ? undefined : value;
  };
  const isCapped = capNames.some((name) => valueOf(name) !== undefined);
  const cap = patch.maxOutputTokens;
  return ok(
    editMembers(
      { text, members: () => members },
      {
        set: {
          model: patch.model,
          ...(isCapped || cap === undefined ? {} : { [capNames[0]]: cap }),
        },
        ...(valueOf('stream') === 'true'
          ? { within: { stream_options: { set: { include_usage: true } } } }
          : {}),
      },
    ),
  );
}
