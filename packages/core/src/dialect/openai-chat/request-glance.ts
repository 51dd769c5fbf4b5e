import type { Conversation, Message, Part } from '../model.ts';
import type { GlancedRequest, RequestPatch } from '../dialect.ts';
import { capField } from './request-encode.ts';

/**
 * Reads a chat request of the plainest shape in one walk over its text: turns of text, numbers, the model and whether
 * it streams. It checks the grammar of all that it reads and leaves everything else (tools, images, names twice or in
 * another spelling, white space of an unusual kind) to the reader that builds a tree and can refuse. Where it gives a
 * request, that reader gives the same one; where it gives none, nothing was decided.
 */

const escapes = String.raw`(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*`;
const memberName = /"[a-z_]{1,32}": ?/y;
// oxlint-disable-next-line no-control-regex -- control characters end what is plain
const plainString = /"[^"\\\x00-\x1f]{0,512}"/y;
const wholeNumber = /-?(?:0|[1-9][0-9]{0,14})(?![0-9.eE])/y;
const number = /-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,20})?(?![0-9.eE])/y;
const flag = /true|false/y;
const usageOption = /\{"include_usage": ?(?:true|false)\}/y;
const messageStart = /\{"role": ?"(?:system|developer|user|assistant)", ?"content": ?"/y;
// oxlint-disable-next-line no-control-regex -- as above
const plainWords = /[^"\\\x00-\x1f]*/y;
const escapedWords = new RegExp(escapes, 'y');
const quote = 0x22;

/** Beyond this the time of a request is its bytes, and there is room for the other reader. */
const glanceCharsMax = 65_536;

const closingBrace = 0x7d;
const letterA = 0x61;
const letterT = 0x74;
const letterU = 0x75;
/** Behind `{"role":`. */
const roleValueOffset = 8;

type Role = 'user' | 'assistant' | 'system';

/** Members of the canonical form that are numbers. */
type NumberTerm =
  | 'maxOutputTokens'
  | 'choices'
  | 'seed'
  | 'temperature'
  | 'topP'
  | 'presencePenalty'
  | 'frequencyPenalty';

/** The request that a body asks for, where it is of the plain shape. */
export function glanceAtRequest(text: string): GlancedRequest | undefined {
  if (text.length > glanceCharsMax || text.charCodeAt(0) !== 0x7b) return undefined;
  const walk = new Walk(text);
  return walk.members() ? walk.request() : undefined;
}

type Terms = { -readonly [K in keyof Conversation]?: Conversation[K] };

class Walk {
  readonly #text: string;
  #at = 1;
  readonly #seen: string[] = [];
  readonly #terms: Terms = {};
  readonly #system: Part[] = [];
  readonly #messages: Message[] = [];
  #modelStart = 0;
  #modelEnd = 0;
  #optsUsage: boolean | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** All members to the end of the text; false where anything is not of the shape. */
  members(): boolean {
    for (;;) {
      const from = this.#at + 1;
      if (!this.#past(memberName)) return false;
      const name = this.#text.slice(from, this.#text.indexOf('"', from));
      if (this.#seen.includes(name) || !this.#value(name)) return false;
      this.#seen.push(name);
      if (this.#text.charCodeAt(this.#at) !== 0x2c) break;
      this.#afterComma();
    }
    return this.#text.charCodeAt(this.#at) === 0x7d && this.#at === this.#text.length - 1;
  }

  request(): GlancedRequest | undefined {
    if (this.#system.length === 0 && this.#messages.length === 0) return undefined;
    const stream = this.#terms.stream ?? false;
    const conversation: Conversation = {
      ...this.#terms,
      model: this.#terms.model,
      stream,
      streamUsage: stream && this.#optsUsage === true,
      system: this.#system,
      messages: this.#messages,
      tools: [],
      extensions: { dialect: 'openai-chat', fields: {} },
    };
    return { conversation, patch: (patch) => this.#patched(patch) };
  }

  #value(name: string): boolean {
    switch (name) {
      case 'messages':
        return this.#turns();
      case 'model': {
        this.#modelStart = this.#at;
        this.#terms.model = this.#plain();
        this.#modelEnd = this.#at;
        return this.#terms.model !== undefined;
      }
      case 'stream': {
        this.#terms.stream = this.#text.charCodeAt(this.#at) === letterT;
        return this.#past(flag);
      }
      case 'stream_options': {
        const from = this.#at;
        const isThere = this.#past(usageOption);
        this.#optsUsage = this.#text.slice(from, this.#at).endsWith('true}');
        return isThere;
      }
      case 'max_tokens':
      case 'max_completion_tokens':
        // Both at once may contradict each other, which is for the other reader to say.
        return this.#terms.maxOutputTokens === undefined && this.#count('maxOutputTokens');
      case 'n':
        return this.#count('choices');
      case 'seed':
        return this.#number('seed', wholeNumber);
      case 'user': {
        const said = this.#plain();
        if (said !== undefined) this.#terms.endUser = said;
        return said !== undefined;
      }
      case 'temperature':
        return this.#number('temperature', number);
      case 'top_p':
        return this.#number('topP', number);
      case 'presence_penalty':
        return this.#number('presencePenalty', number);
      case 'frequency_penalty':
        return this.#number('frequencyPenalty', number);
      default:
        return false;
    }
  }

  #turns(): boolean {
    if (this.#text.charCodeAt(this.#at) !== 0x5b) return false;
    do {
      this.#afterComma();
      const from = this.#at;
      if (!this.#past(messageStart)) return false;
      const words = this.#words();
      if (words === undefined || this.#text.charCodeAt(this.#at + 1) !== closingBrace) return false;
      this.#at += 2;
      this.#add(this.#roleAt(from), words === '' ? [] : [{ kind: 'text', text: words }]);
    } while (this.#text.charCodeAt(this.#at) === 0x2c);
    this.#at += 1;
    return this.#text.charCodeAt(this.#at - 1) === 0x5d;
  }

  /** What a string says, from behind its first quote up to its last. */
  #words(): string | undefined {
    const from = this.#at;
    this.#past(plainWords);
    if (this.#text.charCodeAt(this.#at) === quote) return this.#text.slice(from, this.#at);
    if (!this.#past(escapedWords) || this.#text.charCodeAt(this.#at) !== quote) return undefined;
    // The token was checked just now; the native reader knows what its escapes stand for.
    return JSON.parse(this.#text.slice(from - 1, this.#at + 1)) as string;
  }

  /** Of a turn whose beginning was checked: the first letter of the role tells them apart. */
  #roleAt(turn: number): Role {
    const quoted = this.#text.indexOf('"', turn + roleValueOffset);
    switch (this.#text.charCodeAt(quoted + 1)) {
      case letterU:
        return 'user';
      case letterA:
        return 'assistant';
      default:
        return 'system';
    }
  }

  #add(role: Role, content: readonly Part[]): void {
    if (role === 'user' || role === 'assistant') this.#messages.push({ role, content });
    else if (this.#messages.length > 0) this.#messages.push({ role: 'system', content });
    else this.#system.push(...content);
  }

  #count(name: 'maxOutputTokens' | 'choices'): boolean {
    return this.#number(name, wholeNumber) && (this.#terms[name] ?? 0) >= 1;
  }

  #number(name: NumberTerm, shape: RegExp): boolean {
    const from = this.#at;
    if (!this.#past(shape)) return false;
    this.#terms[name] = Number(this.#text.slice(from, this.#at));
    return true;
  }

  /** A short string without escapes. */
  #plain(): string | undefined {
    const from = this.#at + 1;
    return this.#past(plainString) ? this.#text.slice(from, this.#at - 1) : undefined;
  }

  /** Past what is of this shape. Groups would cost more than the look: what is wanted of it is cut out. */
  #past(shape: RegExp): boolean {
    shape.lastIndex = this.#at;
    if (!shape.test(this.#text)) return false;
    this.#at = shape.lastIndex;
    return true;
  }

  /** Past the comma or bracket, and the one space that some writers put behind it. */
  #afterComma(): void {
    this.#at += this.#text.charCodeAt(this.#at + 1) === 0x20 ? 2 : 1;
  }

  /** As `patchRequest` does it, at places that are known. Undefined where it takes more than that. */
  #patched({ model, maxOutputTokens }: RequestPatch): string | undefined {
    const text = this.#text;
    const { model: said, maxOutputTokens: cap, stream } = this.#terms;
    const isForced = stream === true && this.#optsUsage !== true;
    if (said === undefined || (isForced && this.#optsUsage === false)) return undefined;
    let added = '';
    if (cap === undefined && maxOutputTokens !== undefined)
      added += `,"${capField(model)}":${maxOutputTokens}`;
    if (isForced) added += ',"stream_options":{"include_usage":true}';
    if (said === model && added === '') return text;
    const start = text.slice(0, this.#modelStart);
    const middle = text.slice(this.#modelEnd, -1);
    return `${start}${JSON.stringify(model)}${middle}${added}}`;
  }
}
