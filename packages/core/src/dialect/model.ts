import type { JsonObject, JsonValue } from '../base/index.ts';

/**
 * The canonical conversation: what every dialect is decoded into and encoded from. It is as wide as the widest
 * dialect, so that nothing which two dialects share is lost between them. What only one dialect knows travels in
 * `extensions` and reaches an upstream of that same dialect alone.
 */

export type DialectName =
  | 'openai-chat'
  | 'openai-completions'
  | 'openai-responses'
  | 'openai-embeddings'
  | 'anthropic-messages'
  | 'bedrock-converse'
  | 'bedrock-invoke'
  | 'ask';

/** A prompt-cache marker, kept in place: `{"type":"ephemeral","ttl":"1h"}` and the like. */
export type CacheMarker = JsonObject;

export type ImageSource =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string };

/** One piece of content, in a request or an answer. */
export type Part =
  | { readonly kind: 'text'; readonly text: string; readonly cache?: CacheMarker }
  | {
      readonly kind: 'image';
      readonly source: ImageSource;
      readonly detail?: string;
      readonly cache?: CacheMarker;
    }
  | {
      /** A file or document (PDF and the like). */
      readonly kind: 'document';
      readonly source: ImageSource | { readonly kind: 'text'; readonly text: string };
      readonly title?: string;
      readonly cache?: CacheMarker;
    }
  | { readonly kind: 'audio'; readonly format: string; readonly data: string }
  /** Reasoning in the clear. The signature is opaque and must come back unchanged on the next turn. */
  | { readonly kind: 'thinking'; readonly text: string; readonly signature?: string }
  | { readonly kind: 'redacted-thinking'; readonly data: string }
  | {
      readonly kind: 'tool-call';
      readonly id: string;
      readonly name: string;
      /** The arguments as JSON text, byte for byte as the model wrote them; `{}` where it wrote nothing. */
      readonly arguments: string;
      readonly cache?: CacheMarker;
    }
  | {
      readonly kind: 'tool-result';
      readonly callId: string;
      readonly content: readonly Part[];
      readonly isError: boolean;
      readonly cache?: CacheMarker;
    }
  /** The model declines in words (OpenAI `refusal`). */
  | { readonly kind: 'refusal'; readonly text: string }
  /** A block that only one dialect knows; reaches an upstream of that dialect unchanged, else is refused. */
  | { readonly kind: 'foreign'; readonly dialect: DialectName; readonly value: JsonObject };

export interface Message {
  /** `system`: an instruction in the middle of the conversation; those before the first turn are `system` above it. */
  readonly role: 'user' | 'assistant' | 'system';
  readonly content: readonly Part[];
  /** OpenAI's participant name. */
  readonly name?: string;
}

export interface ToolDefinition {
  readonly name: string;
  /** The group that it is in, for the one format that has groups; `name` begins with it. */
  readonly namespace?: string;
  readonly description?: string;
  /** JSON Schema of the arguments, order of keys kept: it is part of the cached prompt. */
  readonly schema: JsonObject;
  readonly strict?: boolean;
  readonly cache?: CacheMarker;
  /** A tool that only one dialect knows (server tools); `schema` is then empty. */
  readonly foreign?: { readonly dialect: DialectName; readonly value: JsonObject };
}

export type ToolChoice =
  | { readonly kind: 'auto' }
  | { readonly kind: 'none' }
  | { readonly kind: 'required' }
  | { readonly kind: 'tool'; readonly name: string };

export type ResponseFormat =
  | { readonly kind: 'text' }
  | { readonly kind: 'json' }
  | {
      readonly kind: 'schema';
      readonly name: string;
      readonly schema: JsonObject;
      readonly strict?: boolean;
    };

/** How much the model may think: OpenAI says an effort, Anthropic a number of tokens. */
export type Reasoning =
  | { readonly kind: 'off' }
  | { readonly kind: 'effort'; readonly effort: string }
  /** The model decides by itself. */
  | { readonly kind: 'adaptive' }
  | { readonly kind: 'tokens'; readonly budgetTokens: number };

export interface Conversation {
  /** As the caller named it; undefined means the default model. */
  readonly model: string | undefined;
  readonly stream: boolean;
  /** Did the caller ask for usage at the end of its stream? Metering does not depend on it. */
  readonly streamUsage: boolean;
  readonly system: readonly Part[];
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  readonly toolChoice?: ToolChoice;
  readonly parallelToolCalls?: boolean;
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly stop?: readonly string[];
  readonly seed?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  /** How many answers; more than one only between equal dialects. */
  readonly choices?: number;
  readonly format?: ResponseFormat;
  readonly reasoning?: Reasoning;
  /** The caller speaks OpenAI's older `functions`: its answer names `function_call` instead of `tool_calls`. */
  readonly legacyFunctions?: boolean;
  /** Flags of Anthropic's that switch on what is not general yet: a header of Messages, a field at Amazon. */
  readonly betas?: readonly string[];
  /** Asks for a tier that costs more than the plain price where only its own format says so: a header of Amazon's. */
  readonly isHasty?: boolean;
  /** The caller's own tag for its end user. Correlation only. */
  readonly endUser?: string;
  /** What its prompt is estimated at, where that is known without reading its turns. */
  readonly estimated?: number | undefined;
  /** Top-level fields that the canonical form has no word for, by the dialect they came in. */
  readonly extensions: { readonly dialect: DialectName; readonly fields: JsonObject };
}

export type StopReason =
  | 'end'
  | 'length'
  | 'stop-sequence'
  | 'tool-calls'
  | 'content-filter'
  | 'refusal'
  | 'pause';

/** Token counts as the provider billed them. `input` excludes what came from or went to the cache. */
export interface Usage {
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** Of `cacheWrite`, what was written for an hour. */
  readonly cacheWriteHour: number;
  readonly output: number;
  /** Of `output`, what went into thinking. */
  readonly reasoning: number;
  /** Sound, of `input`, `cacheRead` and `output`: only where there was any. */
  readonly inputAudio?: number;
  readonly cacheReadAudio?: number;
  readonly outputAudio?: number;
  /** Pictures, of `output`: only where the provider says how much of it they are, be it nothing. */
  readonly outputImage?: number;
  /** Searches that the provider ran, in the web or in files: only where it ran any. */
  readonly webSearches?: number;
  readonly storageSearches?: number;
  /** Pictures that a tool of the provider painted, and sandboxes that code ran in: only where there were any. */
  readonly imageCalls?: number;
  readonly codeSessions?: number;
  /** Where the provider served it at a tier that costs more than its plain price. */
  readonly tier?: 'priority';
}

/** Uses of tools that a provider runs itself, each billed by its number. */
export const toolUses = ['webSearches', 'storageSearches', 'imageCalls', 'codeSessions'] as const;
export type ToolUse = (typeof toolUses)[number];

/** What an answer tells of while it comes, apart from its tokens: uses of tools that nobody counted yet, its tier. */
export type BilledApart = Pick<Usage, ToolUse | 'tier'>;

/** A whole answer. */
export interface Completion {
  readonly id: string;
  readonly model: string;
  readonly content: readonly Part[];
  readonly stop: StopReason;
  readonly stopSequence?: string;
  /** Absent where the upstream sent none: the ledger then counts by itself. */
  readonly usage?: Usage;
  /** Epoch seconds, where the upstream says. */
  readonly created?: number;
  /** Top-level fields of the upstream that only its dialect knows (`system_fingerprint`, `container`). */
  readonly extensions?: { readonly dialect: DialectName; readonly fields: JsonObject };
}

export type BlockStart =
  | { readonly kind: 'text' }
  | { readonly kind: 'thinking' }
  | { readonly kind: 'redacted-thinking'; readonly data: string }
  | { readonly kind: 'tool-call'; readonly id: string; readonly name: string }
  | { readonly kind: 'refusal' }
  | { readonly kind: 'foreign'; readonly dialect: DialectName; readonly value: JsonObject };

export type BlockDelta =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'thinking'; readonly text: string }
  | { readonly kind: 'signature'; readonly signature: string }
  | { readonly kind: 'arguments'; readonly json: string }
  | { readonly kind: 'refusal'; readonly text: string }
  | { readonly kind: 'foreign'; readonly dialect: DialectName; readonly value: JsonValue };

/**
 * A streamed answer. A decoder gives: one `start`; blocks, each opened once, closed once, its deltas of its own
 * kind and in between; `usage` any number of times (the last one counts); one `finish`; one `end`. A stream that
 * stops anywhere before `end` is broken. Blocks of different index may interleave (parallel tool calls).
 */
export type StreamEvent =
  | {
      readonly kind: 'start';
      readonly id: string;
      readonly model: string;
      readonly created?: number;
    }
  | { readonly kind: 'block-start'; readonly index: number; readonly block: BlockStart }
  | { readonly kind: 'block-delta'; readonly index: number; readonly delta: BlockDelta }
  | { readonly kind: 'block-stop'; readonly index: number }
  | { readonly kind: 'usage'; readonly usage: Usage }
  | { readonly kind: 'finish'; readonly stop: StopReason; readonly stopSequence?: string }
  | { readonly kind: 'end' };
