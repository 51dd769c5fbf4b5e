import { expect, test } from 'vitest';
import { thinksByName } from './hidden-thinking.ts';

test.each([
  'o1',
  'o3-mini-2025-01-31',
  'o4-mini-deep-research',
  'gpt-5',
  'gpt-5.1-codex',
  'openai/gpt-5-nano',
  'openai.gpt-oss-120b-1:0',
  'codex-mini-latest',
  'gemini-2.5-flash',
  'google/gemini-3-pro-preview',
  'grok-4-fast-non-reasoning',
  'us.deepseek.r1-v1:0',
  'deepseek-reasoner',
  'deepseek-r1:14b',
  'kimi-k2-thinking',
  'qwq:32b',
])('%s thinks unasked', (model) => {
  expect(thinksByName(model)).toBe(true);
});

test.each([
  'gpt-4o',
  'gpt-4.1-mini',
  'gpt-3.5-turbo',
  'claude-sonnet-4-5-20250929',
  'us.anthropic.claude-haiku-4-5-20251001-v1:0',
  'gemini-2.0-flash',
  'grok-3',
  'llama3.3:70b',
  'mistral-large-latest',
  'qwen2.5-coder:7b',
  'up/m',
])('%s does not', (model) => {
  expect(thinksByName(model)).toBe(false);
});
