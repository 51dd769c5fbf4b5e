import type { Result, Soon } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { GatewayClock } from './ports.ts';
import { relayStream } from './relay-stream.ts';
import { relayWhole } from './relay-whole.ts';
import type { Delivery, Dispatched } from './stages.ts';
import type { Relayed } from './relayed.ts';

/**
 * Brings an upstream's answer to the caller. Nothing is sent before the answer is known to be one, so that a failure
 * until then is a status in the caller's format; after that it is an error event, and never a clean end.
 */
export function relay(
  stage: Dispatched,
  delivery: Delivery,
  clock: GatewayClock,
): Soon<Result<Relayed, Refusal>> {
  const way = { delivery, clock };
  const isStream =
    stage.conversation.stream &&
    mediaType(stage.answer.headers['content-type']) ===
      mediaType(stage.attempt.dialect.streamContentType);
  return isStream ? relayStream(stage, way) : relayWhole(stage, way);
}

function mediaType(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
