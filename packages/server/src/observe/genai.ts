/**
 * The names of the GenAI conventions of OpenTelemetry that Postern uses, in this one table: they are still in
 * development and moved to a repository of their own in 2026, so a change of theirs is a change here and nowhere else.
 */
export const genAi = {
  /** Of the conventions whose names these are; sent as the version of the scope's schema. */
  version: '1.37.0',
  schemaUrl: 'https://opentelemetry.io/schemas/1.37.0',
  operation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cacheReadTokens: 'gen_ai.usage.cache_read.input_tokens',
  cacheWriteTokens: 'gen_ai.usage.cache_creation.input_tokens',
  errorType: 'error.type',
} as const;

/** What each format asks a model to do. */
const operations: Readonly<Record<string, string>> = {
  'openai-completions': 'text_completion',
  'openai-embeddings': 'embeddings',
  'bedrock-invoke': 'generate_content',
};

export function genAiOperation(dialect: string): string {
  return operations[dialect] ?? 'chat';
}

/** The well-known name of who speaks a format; a server that only speaks like OpenAI is none of them. */
export function genAiProvider(dialect: string, providerId: string): string {
  if (dialect.startsWith('bedrock-')) return 'aws.bedrock';
  if (dialect === 'anthropic-messages') return 'anthropic';
  return providerId === 'openai' ? 'openai' : `postern.${providerId}`;
}
