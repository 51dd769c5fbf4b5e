/**
 * @module Amazon Bedrock's InvokeModel for Anthropic's models (`/model/{id}/invoke`,
 * `/model/{id}/invoke-with-response-stream`): the Messages format with `anthropic_version` in the body, the model in the
 * path, and streams whose `chunk` messages hold the events.
 *
 * Promises: all that `anthropic-messages` promises about content, and that `bedrock-converse` promises about frames and
 * errors. Refuses: bodies of other vendors' models, files by address (a caller's own pass through unread).
 * Limits: `anthropic_beta` reaches other formats as little as the header of that name does; streams carry no
 * `amazon-bedrock-invocationMetrics` where another format answers; instructions between the turns join the system prompt.
 */
export { bedrockInvoke } from './bedrock-invoke.ts';
