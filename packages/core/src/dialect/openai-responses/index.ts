/**
 * @module OpenAI's Responses format (`/v1/responses`), which Codex and newer client code speak.
 *
 * Promises: any upstream answers it; a conversation goes on by replay, since every output item, reasoning included, is
 * also an input item; events carry sequence numbers and the ids of their items; only `response.completed` or
 * `response.incomplete` ends a stream; a failure is an `error` event and then `response.failed`.
 * Refuses: state on an upstream that speaks another format (`previous_response_id`, `conversation`, `store: true`,
 * `background: true`, `prompt`) and tools that such an upstream does not have (`unsupported_parameter`). Where `store`
 * is absent, which means true at OpenAI, an upstream of another format stores nothing, and the answer says so.
 * Limits: in translation `text.verbosity`, `reasoning.summary`, `include` and `max_tool_calls` are hints that are left
 * out, `instructions` are not echoed, and reasoning is shown as its summary. Reasoning that one provider signed travels
 * in `encrypted_content` and is left out for another provider, since only its signer can read it.
 */
export { openAiResponses } from './openai-responses.ts';
