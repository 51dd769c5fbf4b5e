import { encodeSse, err } from '../base/index.ts';
import { encodeErrorBody } from './openai-chat/error.ts';
import type { Dialect } from './dialect.ts';
import { protocolRefusal } from './upstream-error.ts';

const nothing = new Uint8Array(0);

function breach() {
  return err(protocolRefusal('a stream where none can be'));
}

/** The stream members of a format whose answers are always whole: nothing is written, and what is read is a breach. */
export const noStream: Pick<
  Dialect,
  | 'streamContentType'
  | 'heartbeat'
  | 'streamDecoder'
  | 'streamEncoder'
  | 'streamWatcher'
  | 'encodeStreamRefusal'
> = Object.freeze({
  streamContentType: '',
  heartbeat: nothing,
  streamDecoder: () => ({ push: breach, finish: breach }),
  streamEncoder: () => ({ encode: () => nothing }),
  streamWatcher: () => ({
    push: breach,
    finish: breach,
    usage: () => undefined,
    deliveredChars: () => 0,
  }),
  encodeStreamRefusal: (refusal) => encodeSse({ data: JSON.stringify(encodeErrorBody(refusal)) }),
} satisfies Partial<Dialect>);
