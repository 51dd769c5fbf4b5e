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

const [space, quote, comma, minus, point] = [0x20, 0x22, 0x2c, 0x2d, 0x2e];
const [zero, nine, colon, letterT] = [0x30, 0x39, 0x3a, 0x74];
const [bracket, backslash, bracketClosed] = [0x5b, 0x5c, 0x5d];
const [brace, braceClosed] = [0x7b, 0x7d];
const plainCharsMax = 512;
/** Below the numbers that lose digits. */
const digitsMax = 15;
const fractionDigitsMax = 20;

/** Members of the canonical form that are numbers. */
type NumberTerm =
  | 'maxOutputTokens'
  | 'choices'
  | 'seed'
  | 'temperature'
  | 'topP'
  | 'presencePenalty'
  | 'frequencyPenalty';

/** What a member says. */
type Term = NumberTerm | 'messages' | 'model' | 'stream' | 'streamOptions' | 'endUser';

interface Member {
  readonly name: string;
  readonly term: Term;
  /** Two names for one thing share it: both at once may contradict each other, which is for the other reader to say. */
  readonly bit: number;
}

/** Each name, and what it says. */
const terms: readonly (readonly [name: string, term: Term])[] = [
  ['messages', 'messages'],
  ['model', 'model'],
  ['stream', 'stream'],
  ['stream_options', 'streamOptions'],
  ['max_tokens', 'maxOutputTokens'],
  ['max_completion_tokens', 'maxOutputTokens'],
  ['n', 'choices'],
  ['seed', 'seed'],
  ['user', 'endUser'],
  ['temperature', 'temperature'],
  ['top_p', 'topP'],
  ['presence_penalty', 'presencePenalty'],
  ['frequency_penalty', 'frequencyPenalty'],
];

const members: readonly Member[] = terms.map(([name, term]) => ({
  name,
  term,
  bit: 1 << terms.findIndex(([, each]) => each === term),
}));

/** By the length of the name, which nearly tells them apart: cutting a name out and looking it up takes five times as long. */
const membersOfLength: readonly (readonly Member[])[] = Array.from(
  { length: 1 + Math.max(...members.map(({ name }) => name.length)) },
  (_, length) => members.filter(({ name }) => name.length === length),
);

function isCount(term: NumberTerm): boolean {
  return term === 'maxOutputTokens' || term === 'choices';
}

/** Where the digits end that begin here. */
function digitsEnd(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (!(code >= zero && code <= nine)) return at;
    at += 1;
  }
}

/** The request that a body asks for, where it is of the plain shape. */
export function glanceAtRequest(text: string): GlancedRequest | undefined {
  if (text.length > glanceCharsMax || text.charCodeAt(0) !== brace) return undefined;
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
  /** A bit for each name that was there. */
  #seen = 0;
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
      const member = this.#member();
      if (member === undefined || (this.#seen & member.bit) !== 0) return false;
      this.#seen |= member.bit;
      if (!this.#value(member.term)) return false;
      if (this.#code() !== comma) break;
      this.#afterComma();
    }
    return this.#code() === braceClosed && this.#at === this.#text.length - 1;
  }

  request(): GlancedRequest | undefined {
    const said = this.#said;
    if (said.turns === '') return undefined;
    said.streamUsage = said.stream && this.#optsUsage === true;
    return { conversation: said, patch: (patch) => this.#patched(patch) };
  }

  /** What the name says that stands here, with its colon. */
  #member(): Member | undefined {
    const text = this.#text;
    const from = this.#at + 1;
    if (this.#code() !== quote) return undefined;
    const end = text.indexOf('"', from);
    if (text.charCodeAt(end + 1) !== colon) return undefined;
    for (const member of membersOfLength[end - from] ?? []) {
      if (!text.startsWith(member.name, from)) continue;
      this.#at = end + (text.charCodeAt(end + 2) === space ? 3 : 2);
      return member;
    }
    return undefined;
  }

  #value(term: Term): boolean {
    const said = this.#said;
    switch (term) {
      case 'messages':
        return this.#turns();
      case 'model':
        this.#modelStart = this.#at;
        said.model = this.#plain();
        this.#modelEnd = this.#at;
        return said.model !== undefined;
      case 'stream':
        said.stream = this.#code() === letterT;
        return this.#past(flag);
      case 'streamOptions': {
        const from = this.#at;
        const isThere = this.#past(usageOption);
        this.#optsUsage = this.#text.slice(from, this.#at).endsWith('true}');
        return isThere;
      }
      case 'endUser': {
        const user = this.#plain();
        if (user !== undefined) said.endUser = user;
        return user !== undefined;
      }
      case 'maxOutputTokens':
      case 'choices':
      case 'seed':
      case 'temperature':
      case 'topP':
      case 'presencePenalty':
      case 'frequencyPenalty':
        return this.#numberFor(term);
    }
  }

  #numberFor(term: NumberTerm): boolean {
    const value = this.#number(!isCount(term) && term !== 'seed');
    if (value === undefined || (isCount(term) && value < 1)) return false;
    this.#said[term] = value;
    return true;
  }

  #turns(): boolean {
    const from = this.#at;
    const ends: number[] = [];
    let isTalk = false;
    if (this.#code() !== bracket) return false;
    do {
      this.#afterComma();
      if (this.#past(talk)) isTalk = true;
      else if (!this.#past(instruction)) return false;
      ends.push(this.#at - from);
    } while (this.#code() === comma);
    this.#at += 1;
    this.#said.take(this.#text.slice(from, this.#at), ends);
    // Instructions alone may say nothing, which the other reader refuses.
    return isTalk && this.#text.charCodeAt(this.#at - 1) === bracketClosed;
  }

  /** A number without an exponent: whole, or with a fraction. */
  #number(mayBeFraction: boolean): number | undefined {
    const text = this.#text;
    const from = this.#at;
    const wholeAt = this.#code() === minus ? from + 1 : from;
    let at = digitsEnd(text, wholeAt);
    const digits = at - wholeAt;
    if (digits === 0 || digits > digitsMax) return undefined;
    if (digits > 1 && text.charCodeAt(wholeAt) === zero) return undefined;
    if (mayBeFraction && text.charCodeAt(at) === point) {
      const end = digitsEnd(text, at + 1);
      if (end === at + 1 || end - at > fractionDigitsMax) return undefined;
      at = end;
    }
    const next = text.charCodeAt(at);
    // What follows a number in a member, and nothing that goes on with it.
    if (next !== comma && next !== braceClosed) return undefined;
    this.#at = at;
    return Number(text.slice(from, at));
  }

  /** A short string without escapes. */
  #plain(): string | undefined {
    const text = this.#text;
    const from = this.#at + 1;
    if (this.#code() !== quote) return undefined;
    let at = from;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === quote) break;
      // Not a number past the end.
      if (!(code >= space) || code === backslash || at - from === plainCharsMax) return undefined;
      at += 1;
    }
    this.#at = at + 1;
    return text.slice(from, at);
  }

  /** The character that stands here. */
  #code(): number {
    return this.#text.charCodeAt(this.#at);
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
    this.#at += this.#text.charCodeAt(this.#at + 1) === space ? 2 : 1;
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
