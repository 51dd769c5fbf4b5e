import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { clientName, toolName } from './named.ts';

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const digested = (text: string): string => `sha256:${digest(text).slice(0, 16)}`;

test.each([
  'claude-code 2.1.0',
  'claude-ai',
  'Visual Studio Code 1.106.2',
  'Visual Studio Code - Insiders 1.107.0',
])('%s is a client that is known by its name', (client) =>
  expect(clientName(client, digest)).toBe(client),
);

test.each(['sk-live-0123456789', 'sk-live-0123456789 1.0.0', 'claude-codes 1.0.0', ' 1.0.0', ''])(
  'of the client %j only a digest is kept',
  (client) => expect(clientName(client, digest)).toBe(digested(client)),
);

test.each(['sk-live-0123456789', '1.2.3-secret', '123456789012', '1.2.3 secret', ''])(
  'a version that is not plain numbers is not kept: %j',
  (version) => expect(clientName(`claude-code ${version}`, digest)).toBe('claude-code'),
);

test('a tool that is not there is a digest', () => {
  const known = new Set(['list_devices']);
  expect(toolName('list_devices', known, digest)).toBe('list_devices');
  expect(toolName('please store sk-live', known, digest)).toBe(digested('please store sk-live'));
});
