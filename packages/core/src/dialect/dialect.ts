import type { JsonObject, Result } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import type {
  Completion,
  Conversation,
  DialectName,
  BilledApart,
  StreamEvent,
  Usage,
} from './model.ts';

/** What an encoder may not invent itself: ids and time come from the edge. */
export interface AnswerContext {
  /** The request id of the gateway; ids of answers derive from it where the upstream gave none. */
  readonly requestId: string;
  readonly nowMs: number;
  /** When the request arrived: `/ask` reports its latency. */
  readonly receivedAtMs: number;
  /** The name that the caller asked for; shown where the dialect echoes a model and the upstream gave none. */
  readonly model: string;
  /** Whether the caller asked for usage in its stream. */
  readonly streamUsage: boolean;
  /** From the conversation: answer with `function_call` (OpenAI's older form). */
  readonly legacyFunctions?: boolean;
  /** What was asked, for formats whose answers repeat it (the response object of OpenAI's Responses). */
  readonly conversation?: Conversation;
  /** Reads the time now, in epoch milliseconds, for a latency at the end of a stream; without it, `nowMs` counts. */
  readonly clock?: () => number;
}

/** Where a request goes: the name that the upstream knows the model by. */
export interface EncodeTarget {
  readonly model: string;
  /** The cap to send where the caller sent none; undefined leaves the field out where the dialect allows it. */
  readonly maxOutputTokens: number | undefined;
}

/** Changes to a request that passes through in its own dialect: everything else stays byte for byte. */
export interface RequestPatch {
  readonly model: string;
  /** Set where the caller sent no cap of its own. */
  readonly maxOutputTokens: number | undefined;
}

/** A caller's body that was read without building its tree. */
export interface GlancedRequest {
  readonly conversation: Conversation;
  /** What `patchRequest` gives, or undefined where that has to be asked. */
  patch(patch: RequestPatch): string | undefined;
}

/** A wire answer that is not streamed: status, headers beside content-type and length, body. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** Reads an upstream's stream piece by piece, in any split. Holds at most `limits` bytes. */
export interface StreamDecoder {
  /** Events of the bytes so far; an error means that the upstream does not speak its protocol or reports a failure. */
  push(bytes: Uint8Array): Result<readonly StreamEvent[], Refusal>;
  /** The upstream closed. Refuses with `upstream_error` where the stream was not complete. */
  finish(): Result<readonly StreamEvent[], Refusal>;
  /** As a watcher's. */
  apart?(): BilledApart | undefined;
}

/** Writes a caller's stream. Total: any valid event sequence encodes. */
export interface StreamEncoder {
  encode(event: StreamEvent): Uint8Array;
  /** The error event, where it depends on what was written before it; else `encodeStreamRefusal` gives it. */
  encodeRefusal?(refusal: Refusal): Uint8Array;
}

/**
 * Watches a stream that passes through in its own dialect. Bytes go on as they came, frame by frame, but for frames
 * that the caller did not ask for (forced usage).
 */
export interface StreamWatcher {
  /** The bytes to forward now, and whether the stream is whole. An error frame of the upstream is an error. */
  push(bytes: Uint8Array): Result<Uint8Array, Refusal>;
  /** Ok when the terminal frame was seen; `upstream_error` where the stream broke off. */
  finish(): Result<Uint8Array, Refusal>;
  /** The usage seen so far. */
  usage(): Usage | undefined;
  /** Characters of text, thinking and arguments delivered so far: what a cut stream is estimated from. */
  deliveredChars(): number;
  /** What a cut stream pays for beside its words, as far as the format tells of it on the way. */
  apart?(): BilledApart | undefined;
  /** As an encoder's: the error event, where it depends on what was forwarded before it. */
  encodeRefusal?(refusal: Refusal): Uint8Array;
}

/** What some formats say in the path of a request and not in its body. */
export interface PathFacts {
  readonly model: string;
  readonly stream: boolean;
}

/** The value of a header of the request, undefined where it was not sent. */
export type HeaderReader = (name: string) => string | undefined;

/**
 * One wire format: everything that the gateway knows about it, in one value. Nothing outside asks for a dialect by
 * name; a new format is one folder and one row in the table.
 */
export interface Dialect {
  readonly name: DialectName;
  /** The path below the base URL of an upstream that speaks it, for a model (most ignore the model). */
  upstreamPath(model: string, stream: boolean): string;
  /**
   * The inverse, for formats that have model and streaming in the path: what a path below the base says, or undefined
   * where it is none of this format's. Formats that say all in the body do not have it.
   */
  readPath?(path: string): PathFacts | undefined;
  /** Headers of a caller that belong to the format: they go on, unchanged, to an upstream of the same format. */
  readonly requestHeaders?: readonly string[];
  /** What a translated request says in headers of this format. */
  encodeHeaders?(conversation: Conversation): Readonly<Record<string, string>>;
  /** Media type of a streamed answer; empty for a format that does not stream (its members are those of `noStream`). */
  readonly streamContentType: string;
  /** Bytes that keep an idle stream alive and that every client library ignores; empty where there are none. */
  readonly heartbeat: Uint8Array;

  /**
   * A caller's body → conversation. Refusals name the field (`messages.3.content`). `path` is what `readPath` gave;
   * formats without it look at the body alone. `header` reads the request's headers, by names in lower case.
   */
  decodeRequest(
    body: JsonObject,
    path?: PathFacts,
    header?: HeaderReader,
  ): Result<Conversation, Refusal>;
  /** The same of a body's text, where it is of the plainest shape; undefined says nothing about it. */
  glanceRequest?(text: string): GlancedRequest | undefined;
  /** Conversation → body for an upstream. Refuses what this dialect cannot say (`unsupported_parameter`). */
  encodeRequest(conversation: Conversation, target: EncodeTarget): Result<JsonObject, Refusal>;
  /** The caller's own body text with the patch applied and nothing else changed. */
  patchRequest(text: string, patch: RequestPatch): Result<string, Refusal>;

  /** An upstream's whole answer → completion. */
  decodeAnswer(body: JsonObject): Result<Completion, Refusal>;
  /** Completion → body for a caller. */
  encodeAnswer(completion: Completion, context: AnswerContext): JsonObject;
  /** Usage of an answer that passes through unread. */
  usageOfAnswer(body: JsonObject): Usage | undefined;
  /** The same of an answer whose body says nothing, where its server says it in headers. */
  usageOfHeaders?(header: HeaderReader): Usage | undefined;
  /** The one top-level member that `usageOfAnswer` looks at; absent where it looks at more. */
  readonly usageMember?: string;
  /** What stands in every answer for which what begins with that member is not enough: any of them. */
  readonly usageBeside?: readonly string[];
  /** What `usageOfAnswer` says, from an answer's bytes, where it ends in the plainest way; undefined says nothing about it. */
  glanceUsage?(answer: Uint8Array): Usage | undefined;

  streamDecoder(): StreamDecoder;
  streamEncoder(context: AnswerContext): StreamEncoder;
  streamWatcher(context: AnswerContext): StreamWatcher;

  /** A refusal before the first byte. */
  encodeRefusal(refusal: Refusal, requestId: string): WireAnswer;
  /** A refusal inside a stream: an error event and never a clean end after it. */
  encodeStreamRefusal(refusal: Refusal, requestId: string): Uint8Array;
  /** An upstream's error answer → refusal. `body` is what it sent, bounded; it may be no JSON at all. */
  decodeUpstreamError(status: number, headers: UpstreamErrorHeaders, body: string): Refusal;
}

export interface UpstreamErrorHeaders {
  readonly retryAfter: string | undefined;
  readonly errorType: string | undefined;
}
