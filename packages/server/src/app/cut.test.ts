import { assert, ok } from '@postern/core/base';
import { dialectNamed } from '@postern/core/dialect';
import { expect, test } from 'vitest';
import type { Provider, ProviderCall } from '../gateway/index.ts';
import { Leaving, type OutboundAnswer } from '../http/index.ts';
import { cutWith } from './cut.ts';

const noBody = (async function* () {})();

function answerOf(isWhole: boolean): OutboundAnswer {
  return {
    status: 200,
    headers: {},
    body: noBody,
    isWhole,
    failure: () => undefined,
    readAll: () => ok(new Uint8Array(0)),
    cancel: () => undefined,
  };
}

/** Keeps what it was called with. */
function providerOf(answer: OutboundAnswer, calls: ProviderCall[]): Provider {
  return {
    id: 'p',
    dialects: ['openai-chat'],
    sendsUnlisted: false,
    countsTokens: false,
    place: 'here',
    list: () => Promise.resolve(ok([])),
    call: (call) => {
      calls.push(call);
      return ok(answer);
    },
  };
}

function callBy(signal: Leaving): ProviderCall {
  return { dialect: dialectNamed('openai-chat'), path: '/x', body: '{}', headers: {}, signal };
}

async function asked(isWhole: boolean) {
  const cut = new AbortController();
  const answer = answerOf(isWhole);
  const calls: ProviderCall[] = [];
  const caller = new Leaving();
  const got = await cutWith(cut.signal, providerOf(answer, calls)).call(callBy(caller));
  const [seen] = calls;
  assert(got.ok && seen !== undefined, 'it was asked and answered');
  return { cut, caller, answer, got: got.value, upstream: seen.signal };
}

test('an answer that is there as a whole goes on as it is, and nothing ends it any more', async () => {
  const { cut, caller, answer, got, upstream } = await asked(true);
  expect(got).toBe(answer);
  cut.abort();
  caller.abort();
  expect(upstream.aborted).toBe(false);
  expect(got.failure()).toBeUndefined();
});

test('one that still comes is ended by the shutdown, in its words', async () => {
  const { cut, got, upstream } = await asked(false);
  cut.abort();
  expect(upstream.aborted).toBe(true);
  expect(got.failure()).toMatchObject({ code: 'draining' });
});

test('one that still comes ends with its caller, until it was read', async () => {
  const left = await asked(false);
  left.caller.abort();
  expect(left.upstream.aborted).toBe(true);
  const read = await asked(false);
  await read.got.readAll(1);
  read.caller.abort();
  expect(read.upstream.aborted).toBe(false);
});

test('after the shutdown nothing is asked', async () => {
  const calls: ProviderCall[] = [];
  const provider = cutWith(AbortSignal.abort(), providerOf(answerOf(true), calls));
  expect(await provider.call(callBy(new Leaving()))).toMatchObject({
    ok: false,
    error: { code: 'draining' },
  });
  expect(calls).toEqual([]);
});
