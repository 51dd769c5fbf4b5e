/** A caller who leaves, whenever that is: the upstream is let go at once, one line says what it cost, and nothing stays. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  dataFrames,
  type Script,
  type ScriptedUpstream,
  sse,
  startScriptedUpstream,
  typedFrames,
} from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway, waitFor } from './gateway.ts';
import {
  chatChunk,
  inFormats,
  messageStart,
  openCall,
  routes,
  streamed,
  textBlock,
  textDelta,
} from './gateway-fixture.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;
let key: string;
const never = new Promise<never>(() => undefined);
/** "At once", on a machine that runs other tests too. */
const cancelMsMax = 1_000;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: {
        oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] },
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'] },
      },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  key = await gateway.key('leaver');
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took too long`)), cancelMsMax);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The upstream's side of the latest request. */
async function arrived(before: number) {
  return waitFor(() => upstream.received[before]);
}

/** Settled lines, so far; each request that ends adds one. */
function lines(): readonly Record<string, unknown>[] {
  return gateway.log.filter((line) => typeof line['outcome'] === 'string');
}

async function lineAfter(count: number): Promise<Record<string, unknown>> {
  await waitFor(() => (lines().length > count ? true : undefined));
  const found = lines();
  expect(found).toHaveLength(count + 1);
  return found[count] ?? {};
}

/** Sockets and timers of this process: gateway, upstream and client all live in it. */
function held(): { readonly sockets: number; readonly timers: number } {
  const kinds = process.getActiveResourcesInfo();
  return {
    sockets: kinds.filter((kind) => kind === 'TCPSocketWrap').length,
    timers: kinds.filter((kind) => kind === 'Timeout').length,
  };
}

async function expectNothingLeft(baseline: ReturnType<typeof held>): Promise<void> {
  await waitFor(() => {
    const now = held();
    return now.sockets <= baseline.sockets && now.timers <= baseline.timers ? true : undefined;
  });
}

const outs = ['oai', 'ant'] as const;
const pairs = inFormats.flatMap((format) => outs.map((out) => ({ format, out })));

describe.each(pairs)('$format over $out: a caller who leaves', ({ format, out }) => {
  const { path, body } = routes[format];
  const model = `${out}/up`;
  const streamHead: Script = { headers: sse, pieces: [{ wait: never }] };
  const first =
    out === 'ant'
      ? typedFrames(messageStart, textBlock, textDelta('Hello there'))
      : format === 'openai-completions'
        ? (streamed['openai-completions'].pieces[0] ?? '')
        : dataFrames(chatChunk({ role: 'assistant', content: 'Hello there' }));

  test('while the body is read costs nothing, and no model hears of it', async () => {
    const baseline = held();
    const [before, count] = [upstream.connections.total, lines().length];
    const { request } = openCall(gateway, {
      path,
      key,
      isOpen: true,
      headers: { 'content-length': '1000' },
    });
    request.write('{"model":');
    request.on('error', () => undefined);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    request.destroy();
    const line = await lineAfter(count);
    expect(line).toMatchObject({ outcome: 'aborted', status: 499 });
    expect(line).not.toHaveProperty('output_tokens');
    expect(line).not.toHaveProperty('error');
    expect(upstream.connections.total).toBe(before);
    await expectNothingLeft(baseline);
  });

  test.each([
    ['during the wait for a whole answer', false, { pieces: [{ wait: never }] }],
    ['before the first token', true, streamHead],
  ] as const)('%s lets the upstream go and pays for the prompt', async (_, stream, script) => {
    const baseline = held();
    const [before, count] = [upstream.received.length, lines().length];
    upstream.expect(script);
    const { request } = openCall(gateway, { path, key, body: body(model, stream) });
    request.on('error', () => undefined);
    const there = await arrived(before);
    request.destroy();
    await within(there.aborted, 'letting the upstream go');
    const line = await lineAfter(count);
    expect(line).toMatchObject({
      outcome: 'aborted',
      attempts: 1,
      target: model,
      output_tokens: 0,
      estimated: true,
    });
    expect(line['input_tokens']).toBeGreaterThan(0);
    expect(line).not.toHaveProperty('error');
    await expectNothingLeft(baseline);
  });

  test('in the middle of a stream lets the upstream go and pays for what came', async () => {
    const baseline = held();
    const [before, count] = [upstream.received.length, lines().length];
    upstream.expect({ headers: sse, pieces: [first, { wait: never }] });
    const { request, response } = openCall(gateway, { path, key, body: body(model, true) });
    request.on('error', () => undefined);
    const there = await arrived(before);
    const message = await response;
    await new Promise((resolve) => {
      message.once('data', resolve);
    });
    request.destroy();
    await within(there.aborted, 'letting the upstream go');
    const line = await lineAfter(count);
    expect(line).toMatchObject({ outcome: 'aborted', status: 200, estimated: true });
    expect(line['output_tokens']).toBeGreaterThan(0);
    expect(line['input_tokens']).toBeGreaterThan(0);
    await expectNothingLeft(baseline);
  });

  test('while the answer is held back by its own slowness lets the upstream go', async () => {
    const baseline = held();
    const [before, count] = [upstream.received.length, lines().length];
    const many = 'x'.repeat(50_000);
    const more =
      out === 'ant'
        ? typedFrames(textDelta(many))
        : format === 'openai-completions'
          ? dataFrames({
              ...completionText,
              choices: [{ ...completionText.choices[0], text: many }],
            })
          : dataFrames(chatChunk({ content: many }));
    upstream.expect({
      headers: sse,
      pieces: [first, ...Array.from({ length: 400 }, () => more), { wait: never }],
    });
    const { request, response } = openCall(gateway, { path, key, body: body(model, true) });
    request.on('error', () => undefined);
    const there = await arrived(before);
    // The head is read and not one byte of the body.
    await response;
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    request.destroy();
    await within(there.aborted, 'letting the upstream go');
    const line = await lineAfter(count);
    expect(line).toMatchObject({ outcome: 'aborted', estimated: true });
    // Back-pressure held most of the 20 MB where it came from.
    expect(line['bytes']).toBeLessThan(15_000_000);
    expect(line['output_tokens']).toBeGreaterThan(0);
    await expectNothingLeft(baseline);
  });
});

const completionText = {
  id: 'c',
  object: 'text_completion',
  created: 1,
  model: 'up',
  choices: [{ index: 0, finish_reason: null, logprobs: null }],
};

test.each(outs)(
  'cut at each event of a stream from %s, never less is charged than came',
  async (out) => {
    const events = ['one two three', ' four five six', ' seven eight', ' nine'];
    const charged: number[] = [];
    for (let cut = 1; cut <= events.length; cut += 1) {
      const said = events.slice(0, cut);
      const [before, count] = [upstream.received.length, lines().length];
      const frames =
        out === 'ant'
          ? [
              typedFrames(messageStart, textBlock),
              ...said.map((each) => typedFrames(textDelta(each))),
            ]
          : said.map((each) => dataFrames(chatChunk({ content: each })));
      upstream.expect({ headers: sse, pieces: [...frames, { wait: never }] });
      const { request, response } = openCall(gateway, {
        path: '/v1/chat/completions',
        key,
        body: routes['openai-chat'].body(`${out}/up`, true),
      });
      request.on('error', () => undefined);
      // oxlint-disable-next-line no-await-in-loop -- one caller after the other
      const there = await arrived(before);
      // oxlint-disable-next-line no-await-in-loop -- as above
      const message = await response;
      let text = '';
      message.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      // oxlint-disable-next-line no-await-in-loop -- as above
      await waitFor(() => (text.includes(said.at(-1) ?? '') ? true : undefined));
      request.destroy();
      // oxlint-disable-next-line no-await-in-loop -- as above
      await there.aborted;
      // oxlint-disable-next-line no-await-in-loop -- as above
      const line = await lineAfter(count);
      expect(line['output_tokens']).toBeGreaterThanOrEqual(said.join('').length / 4);
      charged.push(Number(line['output_tokens']));
    }
    expect(charged.toSorted((a, b) => a - b)).toEqual(charged);
  },
);

test('a caller who leaves after the last frame has had a whole answer', async () => {
  const [before, count] = [upstream.received.length, lines().length];
  const { headers, pieces } = streamed['openai-chat'];
  upstream.expect({
    ...(headers === undefined ? {} : { headers }),
    pieces: [...pieces, { wait: never }],
  });
  const { request, response } = openCall(gateway, {
    path: '/v1/chat/completions',
    key,
    body: routes['openai-chat'].body('oai/up', true),
  });
  request.on('error', () => undefined);
  const there = await arrived(before);
  const message = await response;
  let text = '';
  message.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  await waitFor(() => (text.includes('[DONE]') ? true : undefined));
  request.destroy();
  await within(there.aborted, 'letting the upstream go');
  const line = await lineAfter(count);
  expect(line).toMatchObject({ outcome: 'complete', input_tokens: 11, output_tokens: 7 });
  expect(line).not.toHaveProperty('estimated');
});

test('nothing was said of a defect in all of this', () => {
  expect(gateway.log.filter((line) => line['msg'] === 'fault')).toEqual([]);
});
