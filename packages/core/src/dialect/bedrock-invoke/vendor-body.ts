import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import { usageOfConverse } from '../bedrock-converse/usage.ts';
import type { HeaderReader, PathFacts } from '../dialect.ts';
import { isList } from '../fields.ts';
import type { Conversation, Usage } from '../model.ts';
import { noUsage, tokenCount, usageOfAnthropic, usageOfOpenAi } from '../usage.ts';

/**
 * Bodies of other vendors' models (Nova, Titan, Llama, Mistral, embeddings). Each has a format of its own that only its
 * model reads: they pass to Bedrock unread and nowhere else. What can be told of them is the cap and the usage.
 */

const dialect = 'bedrock-invoke';

/** Anthropic's models refuse a body without this member, and only theirs has it. */
export function isVendorBody(body: JsonObject): boolean {
  return !Object.hasOwn(body, 'anthropic_version');
}

/** One part that nobody else knows: it is measured, and refused elsewhere. */
export function conversationOfVendor(body: JsonObject, path: PathFacts | undefined): Conversation {
  const cap = capOf(body);
  const stream = path?.stream ?? false;
  return {
    model: path?.model,
    stream,
    streamUsage: stream,
    system: [],
    messages: [{ role: 'user', content: [{ kind: 'foreign', dialect, value: body }] }],
    tools: [],
    ...(cap === undefined ? {} : { maxOutputTokens: cap }),
    extensions: { dialect, fields: {} },
  };
}

/** The body of such a conversation, undefined where it is one of Messages. */
export function vendorBodyOf({ messages }: Conversation): JsonObject | undefined {
  const [part] = messages[0]?.content ?? [];
  return messages.length === 1 && part?.kind === 'foreign' && part.dialect === dialect
    ? part.value
    : undefined;
}

function capOf(body: JsonObject): number | undefined {
  const inference = objectAt(body, 'inferenceConfig');
  const titan = objectAt(body, 'textGenerationConfig');
  const caps = [
    body['max_tokens'],
    body['max_completion_tokens'],
    body['max_gen_len'],
    inference['maxTokens'],
    inference['max_new_tokens'],
    titan['maxTokenCount'],
  ];
  // Which of several its model reads is known to that model alone: the largest one holds in any case.
  const cap = Math.max(0, ...caps.map((each) => tokenCount(each) ?? 0));
  return cap === 0 ? undefined : cap;
}

/** Whatever an answer says that it cost, in any of the vendors' words. */
export function usageOfVendor(body: JsonObject): Usage | undefined {
  const { usage } = body;
  return (
    usageOfAnthropic(usage, undefined) ??
    usageOfOpenAi(usage) ??
    usageOfConverse(usage) ??
    counted(body['prompt_token_count'], body['generation_token_count']) ??
    counted(body['inputTextTokenCount'], titanOutput(body['results']))
  );
}

/** What Amazon itself adds to the last chunk of every stream; undefined in any other chunk. */
export function metricsOf(event: JsonObject): Usage | undefined {
  const metrics = objectAt(event, 'amazon-bedrock-invocationMetrics');
  const usage = counted(metrics['inputTokenCount'], metrics['outputTokenCount']);
  if (usage === undefined) return undefined;
  return {
    ...usage,
    cacheRead: tokenCount(metrics['cacheReadInputTokenCount']) ?? 0,
    cacheWrite: tokenCount(metrics['cacheWriteInputTokenCount']) ?? 0,
  };
}

/** What Amazon says in headers of every whole answer: models that make vectors say it nowhere else. */
export function usageOfHeaders(header: HeaderReader): Usage | undefined {
  const [input, output] = ['input', 'output'].map((each) => {
    const said = header(`x-amzn-bedrock-${each}-token-count`);
    return said !== undefined && /^\d{1,10}$/.test(said) ? Number(said) : undefined;
  });
  return counted(input, output);
}

function counted(input: JsonValue | undefined, output: JsonValue | undefined): Usage | undefined {
  const read = tokenCount(input);
  return read === undefined
    ? undefined
    : { ...noUsage, input: read, output: tokenCount(output) ?? 0 };
}

function titanOutput(results: JsonValue | undefined): number {
  let sum = 0;
  for (const result of isList(results) ? results : []) {
    if (isJsonObject(result)) sum += tokenCount(result['tokenCount']) ?? 0;
  }
  return sum;
}

function objectAt(body: JsonObject, name: string): JsonObject {
  const value = body[name];
  return isJsonObject(value) ? value : {};
}
