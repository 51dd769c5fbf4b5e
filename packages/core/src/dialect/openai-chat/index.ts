/**
 * @module OpenAI's chat format (`/v1/chat/completions`), which most servers copy.
 *
 * Promises: reasoning travels as `reasoning_content`, its signatures as `thinking_blocks`, an opaque list that a client
 * sends back unchanged; tool indexes count tools; only `[DONE]` ends a stream; an error in a stream is its last frame.
 * Refuses: fields of other dialects that this one cannot honour (`unsupported_parameter`); endings that nobody
 * documents (`upstream_error`).
 * Limits: to an upstream, reasoning that another provider signed is left out (only its signer can read it), a
 * thinking budget becomes the model's own default, several leading system prompts become one message, and pictures in
 * tool results follow in a user's turn. Tool calls of the `custom` type pass between equal dialects only.
 */
export { openAiChat } from './openai-chat.ts';
export { encodeErrorBody } from './error.ts';
