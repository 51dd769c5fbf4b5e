/**
 * @module OpenAI's older completions format (`/v1/completions`).
 *
 * Promises: `input` is taken for `prompt`; a chat model answers a prompt as one turn of the user.
 * Refuses: `suffix`, `echo`, `logprobs`, several prompts and token prompts where another dialect would answer.
 * Limits: reasoning has no place in an answer here and is left out; it is metered all the same.
 */
export { openAiCompletions } from './openai-completions.ts';
