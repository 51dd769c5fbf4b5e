/**
 * @module OpenAI's embeddings format (`/v1/embeddings`): texts in, vectors out.
 *
 * Promises: input in all four forms (a text, texts, tokens, lists of tokens); vectors pass through as they came, as
 * numbers or base64; nothing is streamed and nothing is charged as output.
 * Refuses: upstreams of any other format (`unsupported_parameter`), since no other says the same.
 * Limits: at most 2,048 inputs, as at OpenAI.
 */
export { openAiEmbeddings } from './openai-embeddings.ts';
