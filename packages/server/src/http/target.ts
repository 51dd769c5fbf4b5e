import { err, ok, type Result } from '@postern/core/base';

/** A request target with one meaning. */
export interface Target {
  /** `*` only for OPTIONS. */
  readonly path: string;
  readonly query: string;
  /** The authority of an absolute-form target: it must be the same as `Host`. */
  readonly authority: string | undefined;
}

export interface TargetRules {
  /** Path prefixes under which `%2F` may stand in a segment (identifiers with a slash); elsewhere it is refused. */
  readonly encodedSlashUnder: readonly string[];
}

const pathCharacters = /^[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*$/;
/** Printable ASCII without space, quotes of markup, backslash and `#`: what URL libraries leave as it is in a query. */
const queryCharacters = /^[!$%&'()*+,\-./0-9:;=?@A-Z[\]^_`a-z{|}~]*$/;
const brokenEscape = /%(?![0-9A-Fa-f]{2})/;
const encodedControl = /%(?:[01][0-9A-Fa-f]|7[Ff])/;
const encodedSlash = /%2[Ff]/;
const encodedBackslashOrDot = /%(?:5[Cc]|2[Ee])/;
const dotSegment = /\/\.{1,2}(?:\/|$)/;

/**
 * Reads a request target (RFC 9112 section 3.2). Whatever two servers could normalise differently is refused:
 * dot segments, `//`, encoded dots, slashes and controls, fragments, bytes outside RFC 3986.
 */
export function readTarget(
  method: string,
  raw: string,
  rules: TargetRules,
): Result<Target, string> {
  if (raw === '*') {
    if (method !== 'OPTIONS') return err('the target * is for OPTIONS only');
    return ok({ path: '*', query: '', authority: undefined });
  }
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(raw);
  const authority = absolute?.[1];
  const rest = absolute === null ? raw : (absolute[2] ?? '');
  if (absolute === null && !raw.startsWith('/')) return err('the target is not a path');
  const mark = rest.indexOf('?');
  const path = mark === -1 ? rest : rest.slice(0, mark);
  const query = mark === -1 ? '' : rest.slice(mark + 1);
  const fault = pathFault(path === '' ? '/' : path, rules) ?? queryFault(query);
  if (fault !== undefined) return err(fault);
  return ok({ path: path === '' ? '/' : path, query, authority });
}

function pathFault(path: string, rules: TargetRules): string | undefined {
  if (!pathCharacters.test(path)) return 'the path has a character that must be percent-encoded';
  if (brokenEscape.test(path)) return 'the path has a broken percent-encoding';
  if (encodedControl.test(path)) return 'the path has an encoded control character';
  if (encodedBackslashOrDot.test(path)) return 'the path has an encoded dot or backslash';
  if (path.includes('//')) return 'the path has an empty segment';
  if (dotSegment.test(path)) return 'the path has a dot segment';
  if (!encodedSlash.test(path)) return undefined;
  const under = rules.encodedSlashUnder.find((prefix) => path.startsWith(prefix));
  return under === undefined ? 'the path has an encoded slash' : encodedSegmentFault(path, under);
}

/** A decoded slash must not open a dot segment or an empty one either. */
function encodedSegmentFault(path: string, under: string): string | undefined {
  const decoded = path.slice(under.length - 1).replaceAll(/%2F/gi, '/');
  if (decoded.includes('//') || decoded.endsWith('/') || dotSegment.test(decoded)) {
    return 'the path has an encoded slash at an empty or dot segment';
  }
  return undefined;
}

function queryFault(query: string): string | undefined {
  if (!queryCharacters.test(query)) return 'the query has a character that must be percent-encoded';
  if (brokenEscape.test(query)) return 'the query has a broken percent-encoding';
  return undefined;
}
