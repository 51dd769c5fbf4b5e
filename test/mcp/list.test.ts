/** What every model reads with every request: fixed, and short. */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, expect, test } from 'vitest';
import { tools } from '../../packages/server/src/mcp/index.ts';
import { connectAgent } from './agent.ts';
import type { Stack } from './stack.ts';
import { startStack } from './stack.ts';

let stack: Stack;
afterEach(() => stack.close());

const golden = new URL('tools-list.golden', import.meta.url);
/** The list has 2,060 tokens in o200k_base (counted with gpt-tokenizer), 4.2 characters each; three errs on the safe side. */
const charsPerToken = 3;
const tokensMax = 5_000;
const tokensWanted = 3_000;

async function listed(): Promise<string> {
  stack = await startStack();
  const agent = await connectAgent(stack.url);
  const { tools: list } = await agent.client.listTools();
  await agent.close();
  return `${JSON.stringify(list, undefined, 1)}\n`;
}

test('the list is the one that was reviewed (POSTERN_UPDATE_GOLDEN=1 writes it anew)', async () => {
  const list = await listed();
  if (process.env['POSTERN_UPDATE_GOLDEN'] === '1') writeFileSync(golden, list);
  expect(list).toBe(readFileSync(golden, 'utf8'));
});

test('the list is short', async () => {
  const characters = JSON.stringify(JSON.parse(await listed())).length;
  const tokens = Math.ceil(characters / charsPerToken);
  expect(tokens).toBeLessThan(tokensMax);
  expect(tokens).toBeLessThan(tokensWanted);
});

test('every schema is valid, closed, and of named fields', async () => {
  const list = JSON.parse(await listed());
  const ajv = new Ajv2020({ strict: false });
  for (const { name, inputSchema, title, description } of list) {
    expect(ajv.validateSchema(inputSchema), name).toBe(true);
    expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
    expect(name).toMatch(/^[a-z_]{1,64}$/);
    expect(title.length).toBeGreaterThan(3);
    expect(description).toMatch(/\.$/);
  }
  expect(tools).toHaveLength(list.length);
});
