/**
 * @module Anthropic's Messages format (`/v1/messages`, `/v1/messages/count_tokens`).
 *
 * Promises: every frame of a stream names its event; one `message_start`; one block open at a time, deltas of its own
 * kind; counts in the last `message_delta`; an error event is the last frame. Tool results of one turn stand in one
 * message. Cache markers stay where they are.
 * Refuses: what the format cannot say: audio, seeds, penalties, `json_object` without a schema, temperatures above 1.
 * Structured output by schema is native (`output_config.format`), so no tool is forced for it.
 * Limits: participant names have no place here; reasoning without a signature is shown to callers and left out towards
 * an upstream, which accepts only what it signed; arguments that are no JSON object travel as `{"INVALID_JSON": …}`.
 */
export { anthropicMessages } from './anthropic-messages.ts';
export * from './count-tokens.ts';
