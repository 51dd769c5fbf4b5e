/**
 * @module Amazon Bedrock's Converse format (`/model/{id}/converse`, `/model/{id}/converse-stream`).
 *
 * Promises: streams are AWS event streams with both checksums checked; `metadata` ends a stream, and an exception is its
 * last message, never a stop reason; signed and redacted reasoning goes back as it came; cache points stand behind what
 * they cache; results of one turn stand in one message; a history with tools always has a `toolConfig`.
 * Refuses: files by address, tool names that the service does not take, seeds, penalties, temperatures above 1,
 * `json_object` without a schema, a tool choice of none where the history holds calls, stop reasons that nobody documents.
 * Limits: answers name neither themselves nor their model; longer or other ids become ids of 64 letters, the same ones
 * each time; instructions between the turns join the system prompt; cache points are left out for models that refuse
 * them, reasoning for models that did not sign it; a setting of one vendor (`top_k`, a thinking budget, no parallel calls)
 * is sent to models whose name shows that vendor; JSON in a tool's result reaches others as its text.
 */
export { bedrockConverse } from './bedrock-converse.ts';
