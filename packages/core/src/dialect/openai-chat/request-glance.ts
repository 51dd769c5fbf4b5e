import type { Conversation, Message, Part } from '../model.ts';
import type { GlancedRequest, RequestPatch } from '../dialect.ts';
import { capField } from './request-encode.ts';
import { turnsTokens } from './turns-estimate.ts';

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
/** A turn of one of these roles, with plain words. */
const turnBy = (roles: string): RegExp =>
  new RegExp(
    String.raw`\{"role": ?"(?:${roles})", ?"content": ?"[^"\\\x00-\x1f]*${escapes}"\}`,
    'y',
  );
const talk = turnBy('user|assistant');
const instruction = turnBy('system|developer');

/** Beyond this the time of a request is its bytes, and there is room for the other reader. */
const glanceCharsMax = 65_536;

const letterT = 0x74;

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

const noEnds: readonly number[] = Object.freeze([]);
const noTools: Conversation['tools'] = Object.freeze([]);
const nothingElse: Conversation['extensions'] = Object.freeze({
  dialect: 'openai-chat',
  fields: Object.freeze({}),
});

/** A turn that was looked at: these two members, both texts. */
interface PlainTurn {
  readonly role: 'system' | 'developer' | 'user' | 'assistant';
  readonly content: string;
}

/**
 * A conversation whose turns were checked and are read when somebody wants them: most requests go on as the text that
 * they are, and nobody does. A copy by `...` has all but the turns.
 */
class GlancedConversation implements Conversation {
  model: string | undefined;
  stream = false;
  streamUsage = false;
  readonly tools = noTools;
  readonly extensions = nothingElse;
  maxOutputTokens?: number;
  choices?: number;
  seed?: number;
  temperature?: number;
  topP?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  endUser?: string;
  /** The list of turns, as JSON. */
  turns = '';
  #ends: readonly number[] = noEnds;
  #read: { readonly system: readonly Part[]; readonly messages: readonly Message[] } | undefined;

  get estimated(): number | undefined {
    return turnsTokens(this.turns, this.#ends);
  }

  /** Takes the list, and where each turn ends in it, behind its brace. */
  take(turns: string, ends: readonly number[]): void {
    this.turns = turns;
    this.#ends = ends;
  }

  get system(): readonly Part[] {
    return (this.#read ??= readTurns(this.turns)).system;
  }

  get messages(): readonly Message[] {
    return (this.#read ??= readTurns(this.turns)).messages;
  }
}

function readTurns(text: string): {
  readonly system: readonly Part[];
  readonly messages: readonly Message[];
} {
  const system: Part[] = [];
  const messages: Message[] = [];
  // Its grammar and the shape of each turn were checked.
  for (const { role, content } of JSON.parse(text) as readonly PlainTurn[]) {
    const parts: readonly Part[] = content === '' ? [] : [{ kind: 'text', text: content }];
    if (role === 'user' || role === 'assistant') messages.push({ role, content: parts });
    else if (messages.length > 0) messages.push({ role: 'system', content: parts });
    else system.push(...parts);
  }
  return { system, messages };
}

class Walk {
  readonly #text: string;
  #at = 1;
  readonly #seen: string[] = [];
  readonly #said = new GlancedConversation();
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
    const said = this.#said;
    if (said.turns === '') return undefined;
    said.streamUsage = said.stream && this.#optsUsage === true;
    return { conversation: said, patch: (patch) => this.#patched(patch) };
  }

  #value(name: string): boolean {
    switch (name) {
      case 'messages':
        return this.#turns();
      case 'model': {
        this.#modelStart = this.#at;
        this.#said.model = this.#plain();
        this.#modelEnd = this.#at;
        return this.#said.model !== undefined;
      }
      case 'stream': {
        this.#said.stream = this.#text.charCodeAt(this.#at) === letterT;
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
        return this.#said.maxOutputTokens === undefined && this.#count('maxOutputTokens');
      case 'n':
        return this.#count('choices');
      case 'seed':
        return this.#number('seed', wholeNumber);
      case 'user': {
        const said = this.#plain();
        if (said !== undefined) this.#said.endUser = said;
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
    const from = this.#at;
    const ends: number[] = [];
    let isTalk = false;
    if (this.#text.charCodeAt(from) !== 0x5b) return false;
    do {
      this.#afterComma();
      if (this.#past(talk)) isTalk = true;
      else if (!this.#past(instruction)) return false;
      ends.push(this.#at - from);
    } while (this.#text.charCodeAt(this.#at) === 0x2c);
    this.#at += 1;
    this.#said.take(this.#text.slice(from, this.#at), ends);
    // Instructions alone may say nothing, which the other reader refuses.
    return isTalk && this.#text.charCodeAt(this.#at - 1) === 0x5d;
  }

  #count(name: 'maxOutputTokens' | 'choices'): boolean {
    return this.#number(name, wholeNumber) && (this.#said[name] ?? 0) >= 1;
  }

  #number(name: NumberTerm, shape: RegExp): boolean {
    const from = this.#at;
    if (!this.#past(shape)) return false;
    this.#said[name] = Number(this.#text.slice(from, this.#at));
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
    const { model: said, maxOutputTokens: cap, stream } = this.#said;
    const isForced = stream && this.#optsUsage !== true;
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
