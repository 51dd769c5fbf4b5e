import type { Result } from '@postern/core/base';
import { err, jsonObjectOf, ok, utf8 } from '@postern/core/base';
import type { AnswerContext, Completion, Conversation, Part } from '@postern/core/dialect';
import { dialectNamed, unfold } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Provider, ProviderCall } from '../../gateway/index.ts';
import type { OutboundAnswer } from '../../http/index.ts';
import { PreparedAnswer, cancelled } from './answer.ts';
import { eliza } from './eliza.ts';

export const builtinProviderId = 'builtin';
const elizaModel = 'eliza';
/** The longest answer of the script is one sentence. */
const maxOutputTokens = 256;

/**
 * The embedded default: `builtin/eliza`, so that a fresh machine has something honest to talk to. It speaks
 * openai-chat like any server and needs no network.
 */
export function createBuiltinProvider(nowMs: () => number): Provider {
  return {
    id: builtinProviderId,
    dialects: ['openai-chat'],
    sendsUnlisted: false,
    countsTokens: false,
    place: 'inside this process',
    list: () => Promise.resolve(ok([{ id: elizaModel, maxOutputTokens }])),
    call: (call) => Promise.resolve(call.signal.aborted ? err(cancelled) : answer(call, nowMs())),
  };
}

function answer(call: ProviderCall, nowMs: number): Result<OutboundAnswer, Refusal> {
  const dialect = dialectNamed('openai-chat');
  const body = jsonObjectOf(call.body);
  if (body === undefined)
    return refuse('upstream_error', 'The builtin responder takes a JSON object.');
  const conversation = dialect.decodeRequest(body);
  if (!conversation.ok) return conversation;
  const completion = complete(conversation.value, nowMs);
  const context: AnswerContext = {
    requestId: completion.id,
    nowMs,
    receivedAtMs: nowMs,
    model: elizaModel,
    streamUsage: conversation.value.streamUsage,
  };
  if (!conversation.value.stream) {
    const text = JSON.stringify(dialect.encodeAnswer(completion, context));
    return ok(new PreparedAnswer('application/json', [utf8(text)], call.signal));
  }
  const encoder = dialect.streamEncoder(context);
  const pieces: Uint8Array[] = [];
  for (const event of unfold(completion)) {
    if (event.kind !== 'block-delta' || event.delta.kind !== 'text') {
      pieces.push(encoder.encode(event));
      continue;
    }
    for (const word of wordsOf(event.delta.text)) {
      pieces.push(encoder.encode({ ...event, delta: { kind: 'text', text: word } }));
    }
  }
  return ok(new PreparedAnswer('text/event-stream', pieces, call.signal));
}

function complete(conversation: Conversation, nowMs: number): Completion {
  const turns = conversation.messages
    .filter((message) => message.role === 'user')
    .map((message) => textOf(message.content));
  const whole = wordsOf(eliza(turns));
  const kept = whole.slice(0, conversation.maxOutputTokens ?? maxOutputTokens);
  const said = kept.join('').trimEnd();
  return {
    id: `chatcmpl-eliza-${fingerprint(turns.join('\n'))}`,
    model: elizaModel,
    content: [{ kind: 'text', text: said }],
    stop: kept.length < whole.length ? 'length' : 'end',
    usage: {
      input: wordsOf(turns.join(' ')).length,
      cacheRead: 0,
      cacheWrite: 0,
      cacheWriteHour: 0,
      output: kept.length,
      reasoning: 0,
    },
    created: Math.floor(nowMs / 1_000),
  };
}

/** Each word with the space after it: what counts as a token here. */
function wordsOf(text: string): readonly string[] {
  return text.match(/\S+\s*/g) ?? [];
}

function textOf(content: readonly Part[]): string {
  return content.map((part) => (part.kind === 'text' ? part.text : '')).join(' ');
}

/** FNV-1a, 32 bits: a stable id for a stable answer, nothing more. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1)
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
}
