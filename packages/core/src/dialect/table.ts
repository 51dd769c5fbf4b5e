import { present } from '../base/index.ts';
import { anthropicMessages } from './anthropic-messages/index.ts';
import { ask } from './ask/index.ts';
import { bedrockConverse } from './bedrock-converse/index.ts';
import { bedrockInvoke } from './bedrock-invoke/index.ts';
import type { Dialect } from './dialect.ts';
import type { DialectName } from './model.ts';
import { openAiChat } from './openai-chat/index.ts';
import { openAiCompletions } from './openai-completions/index.ts';
import { openAiEmbeddings } from './openai-embeddings/index.ts';
import { openAiResponses } from './openai-responses/index.ts';

/** Every format that this build speaks: one row each. */
export const dialects: Readonly<Partial<Record<DialectName, Dialect>>> = Object.freeze({
  'openai-chat': openAiChat,
  'openai-completions': openAiCompletions,
  'openai-responses': openAiResponses,
  'openai-embeddings': openAiEmbeddings,
  'anthropic-messages': anthropicMessages,
  'bedrock-converse': bedrockConverse,
  'bedrock-invoke': bedrockInvoke,
  ask,
});

/** The dialect of a name that the program itself chose; a name without a row is a fault. */
export function dialectNamed(name: DialectName): Dialect {
  return present(dialects[name], `dialect ${name}`);
}
