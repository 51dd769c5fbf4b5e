import { expect, test } from 'vitest';
import { siteOf } from './site.ts';

const free = { kind: 'self-hosted' };
const unlisted = { kind: 'unlisted' };

test.each([
  ['https://api.openai.com/v1', { kind: 'vendor', vendor: 'openai' }],
  ['https://API.OpenAI.com./v1', { kind: 'vendor', vendor: 'openai' }],
  ['https://team.openai.azure.com/openai/v1', { kind: 'vendor', vendor: 'azure' }],
  ['https://europe-west1-aiplatform.googleapis.com/v1', { kind: 'vendor', vendor: 'google' }],
  [
    'https://bedrock-runtime.eu-central-1.amazonaws.com/openai/v1',
    { kind: 'vendor', vendor: 'aws' },
  ],
  ['http://127.0.0.1:11434/v1', free],
  ['http://[::1]:8000/v1', free],
  ['http://localhost:1234/v1', free],
  ['http://10.1.2.3/v1', free],
  ['http://100.101.102.103/v1', free],
  ['http://[fd7a:115c:a1e0::1]/v1', free],
  ['https://api.openai.com.example.com/v1', unlisted],
  ['https://evil-api.openai.com/v1', unlisted],
  ['https://8.8.8.8/v1', unlisted],
  ['https://[2606:4700::1]/v1', unlisted],
  ['http://localhost.example.com/v1', unlisted],
  ['http://169.254.169.254/v1', unlisted],
  ['http://gpu/v1', unlisted],
  ['nonsense', unlisted],
])('%s', (baseUrl, site) => {
  expect(siteOf({ kind: 'openai', baseUrl })).toEqual(site);
});

test('a name is self-hosted only where all its addresses are', () => {
  const at = (...addresses: string[]) =>
    siteOf({ kind: 'openai', baseUrl: 'http://gpu/v1', addresses });
  expect([at('10.0.0.1', '100.64.0.9'), at('10.0.0.1', '8.8.8.8'), at('junk'), at()]).toEqual([
    free,
    unlisted,
    unlisted,
    unlisted,
  ]);
  expect(
    siteOf({ kind: 'openai', baseUrl: 'https://8.8.8.8/v1', addresses: ['10.0.0.1'] }),
  ).toEqual(unlisted);
});

test('the embedded responder is free, and Bedrock is billed by AWS', () => {
  expect(siteOf({ kind: 'builtin' })).toEqual(free);
  expect(siteOf({ kind: 'bedrock' })).toEqual({ kind: 'vendor', vendor: 'aws' });
});
