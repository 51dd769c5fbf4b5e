/**
 * @module Postern's own question route: `POST /ask`.
 *
 * A request is `{"prompt", "model"?, "system"?, "stream"?}`; an answer is
 * `{"model", "latency_ms", "answer", "usage", "request_id"}`, with `"stop"` beside them where the answer did not end by
 * itself (`"length"`, `"content-filter"`). Usage and errors have OpenAI's shape.
 * Streamed: `data: {"delta": "…"}` frames, then one frame with the members of an answer but `answer`; a failure is
 * `event: error` with the error envelope as data, and nothing after it.
 * Refuses: every other field, by name: this route is for people and shell scripts, and a typo should not pass.
 */
export { ask } from './ask.ts';
