/** Without a configuration file: a dollar a day for everything together, and what runs here is free. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../e2e/process.ts';
import { startGateway, type TestGateway } from './gateway.ts';
import { call, routes } from './gateway-fixture.ts';

let gateway: TestGateway;
let key: string;

beforeAll(async () => {
  gateway = await startGateway({});
  key = await gateway.key('mine');
});
afterAll(() => gateway.stop());

test('what runs on this machine costs nothing, and its use is in the history', async () => {
  const answer = await call(gateway, {
    path: '/v1/chat/completions',
    key,
    body: routes['openai-chat'].body('builtin/eliza', false),
  });
  expect(answer.status).toBe(200);
  let items: unknown;
  await until(async () => {
    ({ items } = (await gateway.control('GET', '/api/v1/usage?by=model')).body);
    return Array.isArray(items) && items.length > 0;
  });
  expect(items).toEqual([expect.objectContaining({ requests: 1, nano_usd: 0 })]);
});

test('everything together has one dollar a day', async () => {
  const { body } = await gateway.control('GET', '/api/v1/budgets');
  expect(body['items']).toEqual([
    expect.objectContaining({ account: 'local', capacity_usd: '1.00', remaining_usd: '1.00' }),
  ]);
});
