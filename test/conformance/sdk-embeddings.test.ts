import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startResponses, type ResponsesFixture } from './responses-fixture.ts';

let upstream: ResponsesFixture['upstream'];
let gateway: ResponsesFixture['gateway'];
let client: OpenAI;
let fixture: ResponsesFixture;

beforeAll(async () => {
  fixture = await startResponses();
  ({ upstream, gateway, client } = fixture);
});
afterAll(() => fixture.stop());

const last = () => fixture.last();
const sent = () => fixture.sent();

describe('embeddings', () => {
  test('texts and tokens pass through, and vectors come back as the client wants them', async () => {
    const vector = Buffer.from(new Float32Array([0.5, -1]).buffer).toString('base64');
    const list = (embedding: unknown) =>
      JSON.stringify({
        object: 'list',
        data: [{ object: 'embedding', index: 0, embedding }],
        model: 'bge',
        usage: { prompt_tokens: 3, total_tokens: 3 },
      });
    upstream.expect({ pieces: [list(vector)] }, { pieces: [list([0.5, -1])] });
    const byText = await client.embeddings.create({ model: 'vec/bge', input: ['a', 'b'] });
    expect(last().url).toBe('/v1/embeddings');
    expect(last().body).toBe('{"model":"bge","input":["a","b"],"encoding_format":"base64"}');
    expect(byText.data[0]?.embedding).toEqual([0.5, -1]);
    expect(byText.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 });
    const byTokens = await client.embeddings.create({
      model: 'oai/vectors',
      input: [[1, 2], [3]],
      encoding_format: 'float',
      dimensions: 2,
      user: 'u',
    });
    expect(byTokens.data[0]?.embedding).toEqual([0.5, -1]);
    expect(sent()).toEqual({
      model: 'vectors',
      input: [[1, 2], [3]],
      encoding_format: 'float',
      dimensions: 2,
      user: 'u',
    });
    await gateway.logged(
      (line) =>
        line['model'] === 'vec/bge' && line['input_tokens'] === 3 && line['output_tokens'] === 0,
    );
  });

  test('nothing else makes embeddings, and what makes them does not answer', async () => {
    const before = upstream.received.length;
    const refused = (made: Promise<unknown>) => made.catch((cause: unknown) => cause);
    for (const model of ['ant/claude-x', 'words/chatter', 'builtin/eliza']) {
      expect(await refused(client.embeddings.create({ model, input: 'a' }))).toMatchObject({
        status: 400,
        code: 'unsupported_parameter',
        param: 'model',
      });
    }
    const question = { role: 'user', content: 'hi' } as const;
    expect(
      await refused(client.chat.completions.create({ model: 'vec/bge', messages: [question] })),
    ).toMatchObject({ status: 400, code: 'unsupported_parameter', param: 'model' });
    const wrong: readonly (readonly [object, string])[] = [
      [{ input: [] }, 'input'],
      [{ input: '' }, 'input'],
      [{ input: ['a', 1] }, 'input.1'],
      [{ input: [[1], ['x']] }, 'input.1'],
      [{ input: [1.5] }, 'input'],
      [{ dimensions: 0 }, 'dimensions'],
      [{ encoding_format: 'hex' }, 'encoding_format'],
      [{ stream: true }, 'stream'],
    ];
    for (const [extra, param] of wrong) {
      const body = { model: 'vec/bge', input: 'a', ...extra } as OpenAI.EmbeddingCreateParams;
      expect(await refused(client.embeddings.create(body))).toMatchObject({ status: 400, param });
    }
    expect(upstream.received.length).toBe(before);
  });
});
