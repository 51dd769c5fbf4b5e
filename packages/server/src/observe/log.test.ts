import { Secret } from '@postern/core/base';
import { expect, test } from 'vitest';
import { createLogger } from './log.ts';

function logged(format: 'json' | 'plain', fields: Record<string, unknown>): string {
  let lines = '';
  const logger = createLogger({ level: 'debug', format, write: (line) => (lines += line) });
  logger.info(fields, 'event');
  return lines;
}

const text = 'canary-7f3a9c';

test.each(['json', 'plain'] as const)(
  'a secret does not print, however deep it lies (%s)',
  (format) => {
    const secret = new Secret(text);
    const line = logged(format, {
      secretOf: secret,
      list: [secret, { inner: secret }],
      words: String(secret),
      joined: [secret].join(),
      err: new Error(`failed with ${String(secret)}`),
    });
    expect(line).not.toContain(text);
    expect(line).toContain('[secret]');
  },
);

test('headers that somebody logs whole lose what names their sender', () => {
  const line = logged('json', {
    authorization: text,
    key: text,
    secret: text,
    token: text,
    headers: { authorization: text, cookie: text, 'x-api-key': text, accept: 'json' },
  });
  expect(line).not.toContain(text);
  expect(line).toContain('"accept":"json"');
});
