import { expect, test } from 'vitest';
import type { RefusedRequest } from '../http/index.ts';
import { createLogger } from '../observe/index.ts';
import { createRefusalLog } from './refusal-log.ts';

function logged() {
  const lines: Record<string, unknown>[] = [];
  let tick = (): void => undefined;
  const logger = createLogger({
    level: 'info',
    format: 'json',
    // The logger writes one JSON object a line.
    write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
  });
  const log = createRefusalLog(logger, {
    nowMs: () => 0,
    after: (_ms, callback) => {
      tick = callback;
      return { clear: () => undefined };
    },
  });
  const take = (changed: Partial<RefusedRequest> = {}): void =>
    log.take({
      requestId: 'req',
      listener: 'gateway',
      code: 'malformed_http',
      status: 400,
      method: undefined,
      target: undefined,
      peerAddress: '192.0.2.1',
      atMs: 0,
      ...changed,
    });
  return { lines, log, take, minute: () => tick() };
}

test('sixty lines a minute, then one for each source and code with its count', () => {
  const { lines, take, minute } = logged();
  for (let i = 0; i < 60; i += 1) take();
  expect(lines).toHaveLength(60);
  for (let i = 0; i < 1_000; i += 1) take({ peerAddress: i % 2 === 0 ? '192.0.2.1' : '192.0.2.2' });
  take({ code: 'uri_too_long', status: 414 });
  expect(lines).toHaveLength(60);
  minute();
  const counted = lines.slice(60).map(({ client, error, count }) => [client, error, count]);
  expect(counted).toEqual([
    ['192.0.2.1', 'malformed_http', 500],
    ['192.0.2.2', 'malformed_http', 500],
    ['192.0.2.1', 'uri_too_long', 1],
  ]);
  take();
  expect(lines.at(-1)).toMatchObject({ request_id: 'req' });
});

test('ten thousand sources in a minute are a thousand lines and one for the rest', () => {
  const { lines, take, minute } = logged();
  for (let i = 0; i < 60; i += 1) take();
  for (let i = 0; i < 10_000; i += 1) take({ peerAddress: `2001:db8::${i.toString(16)}` });
  minute();
  expect(lines).toHaveLength(60 + 1_001);
  expect(lines.at(-1)).toMatchObject({ client: 'others', count: 9_000 });
});

test('an unknown target is a digest, and what was only counted is written at the end', () => {
  const { lines, take, log } = logged();
  take({ method: 'GET', target: `/${'x'.repeat(9_000)}?key=secret` });
  expect(lines[0]).toMatchObject({ path: 'sha256:3e7c8919ec417208' });
  take({ target: '/ask?key=secret' });
  expect(lines[1]).toMatchObject({ path: '/ask' });
  for (let i = 0; i < 60; i += 1) take();
  log.close();
  expect(lines.at(-1)).toMatchObject({ count: 2 });
  expect(JSON.stringify(lines)).not.toContain('secret');
});
