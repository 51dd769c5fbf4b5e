/** What every provider behind the gateway promises, whatever it is made of. */
import { dialectNamed } from '@postern/core/dialect';
import type { Provider, ProviderCall } from '@postern/server/gateway';
import type { OutboundAnswer } from '@postern/server/http';
import { describe, expect, test } from 'vitest';

export interface ProviderSubject {
  readonly provider: Provider;
  /** A model that it lists. */
  readonly model: string;
  /** Prepares the next answer, where somebody else gives it. */
  prepare(kind: 'list' | 'whole' | 'stream' | 'endless'): void;
}

export function describeProvider(name: string, make: () => Promise<ProviderSubject>): void {
  describe(`${name} as a provider`, () => {
    const callOf = (
      { provider, model }: ProviderSubject,
      signal: AbortSignal,
      stream = false,
    ): ProviderCall => {
      const dialect = dialectNamed(provider.dialects[0] ?? 'openai-chat');
      return {
        dialect,
        path: dialect.upstreamPath(model, stream),
        body: JSON.stringify({
          model,
          max_tokens: 64,
          stream,
          messages: [{ role: 'user', content: 'Hello' }],
        }),
        headers: {},
        signal,
      };
    };
    const never = new AbortController().signal;

    async function answered(subject: ProviderSubject, call: ProviderCall): Promise<OutboundAnswer> {
      const called = await subject.provider.call(call);
      if (!called.ok) throw new Error(called.error.message);
      return called.value;
    }

    test('names itself, its formats and its place without a credential', async () => {
      const { provider } = await make();
      expect(provider.id).toMatch(/^[a-z0-9-]+$/);
      expect(provider.dialects.length).toBeGreaterThan(0);
      for (const dialect of provider.dialects) expect(dialectNamed(dialect).name).toBe(dialect);
      expect(provider.place).not.toMatch(/@|key|secret/);
    });

    test('lists its models', async () => {
      const subject = await make();
      subject.prepare('list');
      const listed = await subject.provider.list(never);
      expect(listed.ok && listed.value.map(({ id }) => id)).toContain(subject.model);
    });

    test('answers whole, in its own format, and the answer can be read once', async () => {
      const subject = await make();
      subject.prepare('whole');
      const call = callOf(subject, never);
      const answer = await answered(subject, call);
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toMatch(/^application\/json/);
      const body = await answer.readAll(100_000);
      const text = body.ok ? new TextDecoder().decode(body.value) : '';
      const decoded = call.dialect.decodeAnswer(JSON.parse(text));
      expect(decoded.ok && decoded.value.content).toHaveLength(1);
      expect(answer.failure()).toBeUndefined();
    });

    test('refuses to give more of an answer than was asked for', async () => {
      const subject = await make();
      subject.prepare('whole');
      const answer = await answered(subject, callOf(subject, never));
      expect(await answer.readAll(10)).toMatchObject({ ok: false });
    });

    test('streams, in its own format, to the last frame', async () => {
      const subject = await make();
      subject.prepare('stream');
      const call = callOf(subject, never, true);
      const answer = await answered(subject, call);
      expect(answer.headers['content-type']).toMatch(/^text\/event-stream/);
      const decoder = call.dialect.streamDecoder();
      for await (const bytes of answer.body) expect(decoder.push(bytes).ok).toBe(true);
      expect(decoder.finish().ok).toBe(true);
      expect(answer.failure()).toBeUndefined();
    });

    test('gives the whole of a stream to who reads it at once', async () => {
      const subject = await make();
      subject.prepare('stream');
      const call = callOf(subject, never, true);
      const body = await (await answered(subject, call)).readAll(100_000);
      const decoder = call.dialect.streamDecoder();
      expect(body.ok && decoder.push(body.value).ok && decoder.finish().ok).toBe(true);
    });

    test('cuts a stream whose reader cancels, and says so', async () => {
      const subject = await make();
      subject.prepare('endless');
      const answer = await answered(subject, callOf(subject, never, true));
      let pieces = 0;
      for await (const bytes of answer.body) {
        pieces += bytes.length > 0 ? 1 : 0;
        answer.cancel();
      }
      expect(pieces).toBe(1);
      expect(answer.failure()?.code).toBe('upstream_unavailable');
      answer.cancel();
    });

    test('cuts a stream whose caller leaves, and says so', async () => {
      const subject = await make();
      subject.prepare('endless');
      const abort = new AbortController();
      const answer = await answered(subject, callOf(subject, abort.signal, true));
      for await (const bytes of answer.body) if (bytes.length > 0) abort.abort();
      expect(answer.failure()?.code).toBe('upstream_unavailable');
    });

    test('does not begin for a caller who has left', async () => {
      const subject = await make();
      const called = await subject.provider.call(callOf(subject, AbortSignal.abort()));
      expect(called).toMatchObject({ ok: false, error: { code: 'upstream_unavailable' } });
    });
  });
}
