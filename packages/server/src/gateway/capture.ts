import type { HttpReply, HttpStream, ResponseHeaders } from '../http/index.ts';
import { PassingReply } from '../http/index.ts';
import type { Admitted } from './stages.ts';

/** What of an answer is kept; the rest of a longer one is not. */
const answerBytesMax = 4 * 1_048_576;

/** A conversation that the grant says to keep: what was asked, and what was answered so far. */
export interface Capture {
  readonly request: string;
  answer(): string;
}

/** The same stage with a reply that remembers what it sent, where the grant asks for that. */
export function captured(stage: Admitted): {
  readonly stage: Admitted;
  readonly capture: Capture | undefined;
} {
  if (stage.permit.capture !== 'full') return { stage, capture: undefined };
  const pieces: Uint8Array[] = [];
  let length = 0;
  const take = (body: Uint8Array | string): void => {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const piece = bytes.subarray(0, answerBytesMax - length);
    length += piece.length;
    // Copied: whoever writes may fill the same memory again.
    if (piece.length > 0) pieces.push(Uint8Array.from(piece));
  };
  const request = stage.text;
  const answer = (): string => Buffer.concat(pieces).toString('utf8');
  return {
    stage: { ...stage, reply: new RememberingReply(stage.reply, take) },
    capture: { request, answer },
  };
}

class RememberingReply extends PassingReply {
  readonly #take: (body: Uint8Array | string) => void;

  constructor(reply: HttpReply, take: (body: Uint8Array | string) => void) {
    super(reply);
    this.#take = take;
  }

  override send(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    this.#take(body);
    super.send(status, headers, body);
  }

  override start(status: number, headers: ResponseHeaders): HttpStream {
    const stream = super.start(status, headers);
    return {
      write: (bytes) => {
        this.#take(bytes);
        return stream.write(bytes);
      },
      end: () => stream.end(),
      destroy: () => stream.destroy(),
    };
  }
}
