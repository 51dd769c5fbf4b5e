import { expect, test } from 'vitest';
import { AnswerBody } from './answer-body.ts';

function bodyOf(): { readonly body: AnswerBody; readonly calls: string[] } {
  const calls: string[] = [];
  const source = {
    pause: () => void calls.push('pause'),
    resume: () => void calls.push('resume'),
    cancel: () => void calls.push('cancel'),
  };
  return { body: new AnswerBody({ status: 200, headers: {} }, source, 8), calls };
}

const sink = { piece: () => undefined, end: () => undefined };

test('a reader that pauses after the end does not stop a socket that serves another call by then', () => {
  const { body, calls } = bodyOf();
  body.push(Buffer.from('all of it'));
  body.end(undefined);
  const flow = body.flow(sink);
  flow.pause();
  expect(calls).toEqual(['pause', 'resume']);
});

test('what waits for a reader holds the upstream back, and goes on when it is taken', async () => {
  const { body, calls } = bodyOf();
  body.push(Buffer.from('12345678'));
  expect(calls).toEqual(['pause']);
  const reading = body.readAll(100);
  expect(calls).toEqual(['pause', 'resume']);
  body.push(Buffer.from('9'));
  body.end(undefined);
  const read = await reading;
  expect(read.ok && Buffer.from(read.value).toString()).toBe('123456789');
});

test('a broken body gives nothing of what was not read', async () => {
  const { body } = bodyOf();
  body.push(Buffer.from('half'));
  body.end({ code: 'upstream_error', message: 'broke off' });
  expect(await body.readAll(100)).toMatchObject({ ok: false, error: { code: 'upstream_error' } });
});
