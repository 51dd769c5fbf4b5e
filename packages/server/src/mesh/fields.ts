import { isForwardingHeader, isIdentityHeader, normalHeaderName } from '../http/index.ts';

/** Fields that concern one connection and not the message (RFC 9110 section 7.6.1). */
const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** What a backend of ours is told by these two, and nobody else may say. */
export const appIdField = 'x-dstack-app-id';
export const assertionField = 'x-postern-identity';

/**
 * Fields of a request that go on: names and values in turn, as received, in order, repetitions and all. Without those of
 * the connection and without every field by which somebody says who is calling.
 */
export function requestFields(raw: readonly string[]): string[] {
  return keep(raw, (name) => !isIdentityHeader(name) && !isForwardingHeader(name));
}

/** Fields of an answer that go back. */
export function answerFields(raw: readonly string[]): string[] {
  return keep(raw, () => true);
}

/** Trailers that go on: none that says how a message is framed or routed, or who is asking (RFC 9110 section 6.5.1). */
export function trailerFields(raw: readonly string[]): string[] {
  return keep(
    raw,
    (name) =>
      !isIdentityHeader(name) &&
      !isForwardingHeader(name) &&
      name !== 'content-length' &&
      name !== 'host' &&
      name !== 'trailer',
  );
}

function keep(raw: readonly string[], test: (name: string) => boolean): string[] {
  const listed = connectionOptions(raw);
  const kept: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const normal = normalHeaderName(name);
    if (connectionFields.has(normal) || listed.has(normal) || !test(normal)) continue;
    kept.push(name, raw[index + 1] ?? '');
  }
  return kept;
}

function connectionOptions(raw: readonly string[]): ReadonlySet<string> {
  const listed = new Set<string>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (raw[index]?.toLowerCase() !== 'connection') continue;
    for (const option of (raw[index + 1] ?? '').split(',')) listed.add(normalHeaderName(option));
  }
  return listed;
}

/** The one value of a field; undefined where there is none, `twice` where there are more. */
export function single(
  raw: readonly string[],
  name: string,
): { readonly value: string | undefined; readonly isTwice: boolean } {
  let value: string | undefined;
  let count = 0;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (normalHeaderName(raw[index] ?? '') !== name) continue;
    value = raw[index + 1];
    count += 1;
  }
  return { value, isTwice: count > 1 };
}
