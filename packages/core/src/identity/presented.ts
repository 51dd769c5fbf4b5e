import type { Result } from '../base/index.ts';
import { ok } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import { refuse } from '../errors/index.ts';

/** What every key of Postern begins with. */
export const keyPrefix = 'pst_';

/** Longest credential that is looked at. Tokens with large group claims reach 6 KiB; the whole head is 16 KiB. */
export const credentialCharsMax = 8_192;

/** A credential as it was sent. Whether it means anything is for the authenticators. */
export interface PresentedToken {
  readonly header: 'authorization' | 'x-api-key' | 'api-key';
  readonly token: string;
}

/** Printable ASCII without space and comma: two header lines joined into one never pass for one credential. */
const tokenPattern = /^[\x21-\x2b\x2d-\x7e]+$/;
/** A key at the start of any word: `Bearer Bearer pst_…` and `sk-…, pst_…` claim to be ours too. */
const keyAnywhere = /(?:^|[\s,])pst_/;
const bearerPattern = /^bearer +/i;

/**
 * The credentials of a request: `Authorization: Bearer …` (RFC 6750), `x-api-key` (Anthropic clients) and `api-key`
 * (Azure-style clients). Another scheme (a SigV4 signature) is a foreign credential and stands here whole. The same
 * text in two headers counts once. Only what claims to be ours is held to a form.
 */
export function presentedTokens(
  header: (name: string) => string | undefined,
): Result<readonly PresentedToken[], Refusal> {
  const tokens: PresentedToken[] = [];
  for (const name of ['authorization', 'x-api-key', 'api-key'] as const) {
    const value = header(name)?.trim();
    if (value === undefined || value === '') continue;
    const isBearer = name === 'authorization' && bearerPattern.test(value);
    const token = isBearer ? value.replace(bearerPattern, '') : value;
    const problem = formProblem(name, token, isBearer);
    if (problem !== undefined) return refuse('credential_invalid', problem);
    if (!tokens.some((other) => other.token === token)) tokens.push({ header: name, token });
  }
  return ok(tokens);
}

function formProblem(
  header: PresentedToken['header'],
  token: string,
  isBearer: boolean,
): string | undefined {
  if (token.length > credentialCharsMax)
    return `The credential in ${header} is longer than ${credentialCharsMax} characters.`;
  if (!keyAnywhere.test(token)) return undefined;
  if (token.startsWith(keyPrefix) && header === 'authorization' && !isBearer)
    return `Write the key as "Authorization: Bearer ${keyPrefix}…": the word Bearer is missing.`;
  if (!tokenPattern.test(token))
    return `The ${header} header holds more than one key, or a character that no key has. Send one key, once.`;
  return undefined;
}
