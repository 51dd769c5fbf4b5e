import { utf8Text } from '@postern/core/base';
import type { Completion, DialectName } from '@postern/core/dialect';
import { dialectNamed, unfold } from '@postern/core/dialect';

/** A server's answer in its own format, as the scripted upstreams take it. Callers elsewhere judge these encoders. */
export interface WrittenAnswer {
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: readonly (string | Uint8Array)[];
}

export function writtenAnswer(
  name: DialectName,
  completion: Completion,
  stream: boolean,
): WrittenAnswer {
  const dialect = dialectNamed(name);
  const context = {
    requestId: 'up-1',
    nowMs: 1_700_000_000_000,
    receivedAtMs: 1_700_000_000_000,
    model: 'up-2026',
    streamUsage: true,
  };
  if (!stream) {
    return {
      headers: { 'content-type': 'application/json' },
      pieces: [JSON.stringify(dialect.encodeAnswer(completion, context))],
    };
  }
  const encoder = dialect.streamEncoder(context);
  return {
    headers: { 'content-type': dialect.streamContentType },
    pieces: unfold(completion).map((event) => encoder.encode(event)),
  };
}

/** For an upstream whose answers are text. */
export function asText({ headers, pieces }: WrittenAnswer): {
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: readonly string[];
} {
  const texts = pieces.map((piece) =>
    typeof piece === 'string' ? piece : (utf8Text(piece) ?? ''),
  );
  return { headers, pieces: texts };
}
