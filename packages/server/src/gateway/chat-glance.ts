import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { BilledApart, StreamWatcher, Usage } from '@postern/core/dialect';
import { answerChars } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { bufferOf } from './buffer-of.ts';

/** A member whose value says nothing that a watcher looks at; errors, choices, usage objects and a dearer tier are no such members. */
const member = String.raw`"(?!error"|choices"|service_tier":"priority")[a-z_]{1,32}":(?:"[^"\\\x00-\x1f]*"|[0-9]{1,15}|null)`;

/**
 * One frame with one delta of plain text and nothing else, in the spelling of every server that streams chat: the bulk
 * of every stream. Strings without escapes, so that each ends at the next quote.
 */
const textFrame = new RegExp(
  String.raw`(data: \{(?:${member},)*"choices":\[\{"index":[0-9]{1,3},"delta":\{(?:"role":"assistant",)?"content":")` +
    String.raw`([^"\\\x00-\x1f]*)` +
    String.raw`("(?:,"(?:refusal|reasoning_content|reasoning|tool_calls|function_call)":null)*\}` +
    String.raw`(?:,"(?:finish_reason|stop_reason|logprobs|token_ids)":null)*\}\](?:,${member})*\}\n\n)`,
  'y',
);
// oxlint-disable-next-line no-control-regex -- control characters end what is plain
const plainWords = /[^"\\\x00-\x1f]*/y;
/** What arrives together on a busy machine; more of it at once is rare, and the watcher is as good at it. */
const glanceBytesMax = 16_384;
const lineFeed = 0x0a;
const blankLine = Uint8Array.of(lineFeed);
/** What ends a stream. Words that come after it count for nobody, so nothing is glanced at any more. */
const endMark = '[DONE]';

/**
 * Looks at the plain frames of a chat stream that passes through, and leaves every other one to the watcher: a frame
 * of text is recognised and counted in a tenth of the time that reading it takes. The watcher is made for the first
 * frame that is not plain, which for most streams is near their end.
 */
export function glanceAtChat(make: () => StreamWatcher): StreamWatcher {
  return new ChatGlance(make);
}

class ChatGlance implements StreamWatcher {
  readonly #make: () => StreamWatcher;
  readonly #frames = new PlainFrames();
  #watcher: StreamWatcher | undefined;
  #chars = 0;
  #hasGlanced = false;
  #isAligned = true;
  #isOver = false;
  /** The end of what the watcher read last: the mark may come in two pieces. */
  #tail = '';

  constructor(make: () => StreamWatcher) {
    this.#make = make;
  }

  push(bytes: Uint8Array): Result<Uint8Array, Refusal> {
    if (this.#isOver) return this.#real().push(bytes);
    const text = textOf(bytes);
    if (this.#isAligned && bytes.length <= glanceBytesMax) {
      // As many characters as bytes: all of them are of the first 128.
      const found = this.#frames.chars(text, text.length !== bytes.length);
      if (found !== undefined) {
        this.#chars += found;
        this.#hasGlanced ||= bytes.length > 0;
        return ok(bytes);
      }
    }
    const read = this.#tail + text;
    this.#isOver = read.includes(endMark);
    this.#tail = read.slice(1 - endMark.length);
    const { length } = bytes;
    this.#isAligned = bytes[length - 1] === lineFeed && bytes[length - 2] === lineFeed;
    return this.#real().push(bytes);
  }

  finish(): Result<Uint8Array, Refusal> {
    return this.#real().finish();
  }

  usage(): Usage | undefined {
    return this.#watcher?.usage();
  }

  deliveredChars(): number {
    return this.#chars + (this.#watcher?.deliveredChars() ?? 0);
  }

  apart(): BilledApart | undefined {
    return this.#watcher?.apart?.();
  }

  #real(): StreamWatcher {
    if (this.#watcher !== undefined) return this.#watcher;
    const watcher = this.#make();
    // What it sees first is not where the stream began: a byte order mark there means nothing.
    if (this.#hasGlanced) watcher.push(blankLine);
    this.#watcher = watcher;
    return watcher;
  }
}

/** Frames of one stream: nearly all of them are the one before with other words in it. */
class PlainFrames {
  #before = '';
  #after = '';
  #at = 0;
  #mayBeWide = false;

  /** Characters of the model's words where there are only plain frames, each whole; undefined where there is anything else. */
  chars(text: string, mayBeWide: boolean): number | undefined {
    let count = 0;
    this.#mayBeWide = mayBeWide;
    this.#at = 0;
    while (this.#at < text.length) {
      const found = this.#like(text) ?? this.#any(text);
      if (found === undefined) return undefined;
      count += found;
    }
    return count;
  }

  /** A frame like the one before. */
  #like(text: string): number | undefined {
    if (this.#before === '' || !text.startsWith(this.#before, this.#at)) return undefined;
    const start = this.#at + this.#before.length;
    plainWords.lastIndex = start;
    plainWords.test(text);
    const end = plainWords.lastIndex;
    if (!text.startsWith(this.#after, end)) return undefined;
    this.#at = end + this.#after.length;
    return this.#mayBeWide ? answerChars(text.slice(start, end)) : end - start;
  }

  #any(text: string): number | undefined {
    textFrame.lastIndex = this.#at;
    const found = textFrame.exec(text);
    if (found === null) return undefined;
    const [, before = '', words = '', after = ''] = found;
    this.#before = before;
    this.#after = after;
    this.#at = textFrame.lastIndex;
    return this.#mayBeWide ? answerChars(words) : words.length;
  }
}

/** As UTF-8: a character counts as one, however many bytes it has. */
function textOf(bytes: Uint8Array): string {
  return bufferOf(bytes).toString('utf8');
}
