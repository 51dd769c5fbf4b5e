import { err, ok } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import { dialectNamed } from '@postern/core/dialect';
import { describe, expect, test } from 'vitest';
import { FakeAnswer } from '../../../../../test/fakes/provider.ts';
import type { Provider, ProviderCall } from '../../gateway/index.ts';
import { Leaving } from '../../http/index.ts';
import { Departures } from './departures.ts';

const at = 'http://100.64.0.9:8000/v1';
const lookMs = 5;
const hasLeft = {
  code: 'upstream_unavailable',
  message: 'The machine left the registry before it answered.',
};

/** A machine that answers when it is told to, and tells who waits for it that the call was given up. */
function machine() {
  const answer = new FakeAnswer();
  let speak: (() => void) | undefined;
  let seen: ProviderCall | undefined;
  const provider: Pick<Provider, 'call'> = {
    call: (call) =>
      new Promise((resolve) => {
        seen = call;
        speak = () => resolve(ok(answer));
        call.signal.addEventListener('abort', () =>
          resolve(err(refusal('upstream_unavailable', 'given up'))),
        );
      }),
  };
  return { provider, answer, speak: () => speak?.(), signal: () => seen?.signal };
}

function asked() {
  const signal = new Leaving();
  const dialect = dialectNamed('openai-chat');
  const call: ProviderCall = { dialect, path: '/x', body: '{}', headers: {}, signal };
  return { signal, call };
}

const looks = (count: number) => new Promise((resolve) => setTimeout(resolve, count * lookMs));

describe('a call to a machine of the registry', () => {
  test('ends as unavailable when the machine leaves before it answered', async () => {
    const { provider } = machine();
    let members = [at];
    const calling = new Departures(() => members, lookMs).call(provider, asked().call, at);
    await looks(4);
    members = ['http://100.64.0.10:8000/v1'];
    expect(await calling).toMatchObject({ ok: false, error: hasLeft });
  });

  test('goes on when the machine leaves after its first byte, until the caller goes', async () => {
    const { provider, answer, speak, signal } = machine();
    let members = [at];
    const { call, signal: caller } = asked();
    const calling = new Departures(() => members, lookMs).call(provider, call, at);
    speak();
    expect(await calling).toEqual(ok(answer));
    members = [];
    await looks(4);
    expect(signal()?.aborted).toBe(false);
    caller.abort();
    expect(signal()?.aborted).toBe(true);
  });

  test('goes on while the machine has its lease, and while nobody can say who is there', async () => {
    for (const members of [[at], undefined]) {
      const { provider, answer, speak } = machine();
      const calling = new Departures(() => members, lookMs).call(provider, asked().call, at);
      await looks(4);
      speak();
      expect(await calling).toEqual(ok(answer));
    }
  });

  test('ends as it would anyway when its caller goes', async () => {
    const { provider } = machine();
    const { call, signal } = asked();
    const calling = new Departures(() => [at], lookMs).call(provider, call, at);
    signal.abort();
    expect(await calling).toMatchObject({ ok: false, error: { message: 'given up' } });
  });

  test('looks again for a call that comes after others ended', async () => {
    const departures = new Departures(() => [], lookMs);
    for (let round = 0; round < 2; round += 1) {
      const { provider } = machine();
      const ended = await departures.call(provider, asked().call, at);
      expect(ended).toMatchObject({ ok: false, error: hasLeft });
      await looks(4);
    }
  });
});
