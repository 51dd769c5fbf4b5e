import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, utf8, utf8Text } from './bytes.ts';
import { SseDecoder, encodeSse, encodeSseComment } from './sse.ts';
import type { SseFrame } from './sse.ts';

function framesOf(pieces: readonly Uint8Array[], limit?: number): readonly SseFrame[] {
  const decoder = new SseDecoder(limit);
  const frames: SseFrame[] = [];
  for (const piece of pieces) {
    const result = decoder.push(piece);
    if (!result.ok) throw new Error(result.error.message);
    frames.push(...result.value);
  }
  const rest = decoder.rest();
  return rest === undefined ? frames : [...frames, rest];
}

/** What a consumer sees: frames with data, by their fields. */
function seen(frames: readonly SseFrame[]): unknown {
  return fieldsOf(frames.filter((frame) => frame.data !== undefined));
}

function fieldsOf(frames: readonly SseFrame[]): unknown {
  return frames.map(({ event, data, id, retryMs }) => ({ event, data, id, retryMs }));
}

function split(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, index) => bytes.slice(from, places[index]));
}

describe('reading', () => {
  test('fields, comments, several data lines and a byte order mark read as the specification says', () => {
    const text =
      '\uFEFFevent: add\ndata:  two\ndata:three\n\n: note\ndata\nid: 7\nretry: 250\nretry: x\nfoo: bar\n\nid: a\0b\ndata: é\n\nevent: lone\n\n';
    expect(fieldsOf(framesOf([utf8(text)]))).toEqual([
      { event: 'add', data: ' two\nthree', id: undefined, retryMs: undefined },
      { event: undefined, data: '', id: '7', retryMs: 250 },
      { event: undefined, data: 'é', id: undefined, retryMs: undefined },
      { event: 'lone', data: undefined, id: undefined, retryMs: undefined },
    ]);
  });

  test('line feed, carriage return and both together end lines alike', () => {
    for (const end of ['\n', '\r', '\r\n']) {
      const text = ['data: a', 'data: b', '', 'data: c', '', ''].join(end);
      expect(seen(framesOf([utf8(text)])), JSON.stringify(end)).toEqual([
        { event: undefined, data: 'a\nb', id: undefined, retryMs: undefined },
        { event: undefined, data: 'c', id: undefined, retryMs: undefined },
      ]);
    }
  });

  test('a frame is given at its blank line, without waiting for a byte more', () => {
    const decoder = new SseDecoder();
    const first = decoder.push(utf8('data: a\r\n\r'));
    expect(first.ok && first.value.map((frame) => frame.data)).toEqual(['a']);
    const second = decoder.push(utf8('\ndata: b\r\n\r\n'));
    expect(second.ok && second.value.map((frame) => frame.data)).toEqual(['b']);
  });

  test('any split gives the same fields, and the raw bytes are the stream', () => {
    const line = fc.constantFrom(
      'data: x',
      'data:',
      'data: {"é":"漢字"}',
      'event: e',
      ': c',
      'id: 1',
      '',
      '',
      ' data: y',
      '\uFEFFdata: z',
    );
    const end = fc.constantFrom('\n', '\r', '\r\n');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(line, end), { maxLength: 30 }),
        fc.array(fc.nat(500), { maxLength: 20 }),
        (lines, cuts) => {
          const bytes = utf8(lines.map(([text, stop]) => text + stop).join(''));
          const whole = framesOf([bytes]);
          const pieces = framesOf(split(bytes, cuts));
          expect(seen(pieces)).toEqual(seen(whole));
          expect(utf8Text(concatBytes(...pieces.map((frame) => frame.raw)))).toBe(utf8Text(bytes));
          expect(seen(whole)).toEqual(seen(byTheBook(utf8Text(bytes) ?? '')));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('any bytes at all pass through whole', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200)), (bytes, cuts) => {
        const raw = framesOf(split(bytes, cuts)).map((frame) => frame.raw);
        expect([...concatBytes(...raw)]).toEqual([...bytes]);
      }),
    );
  });

  test('a frame beyond the limit is a problem, however it arrives', () => {
    const decoder = new SseDecoder(16);
    expect(decoder.push(utf8('data: 12345678\n\n')).ok).toBe(true);
    expect(decoder.push(utf8('data: 123456789\n\n')).ok).toBe(false);
    const drip = new SseDecoder(16);
    const results = Array.from({ length: 17 }, () => drip.push(utf8('x')).ok);
    expect(results.indexOf(false)).toBe(16);
  });
});

/** The specification's algorithm, literally, as the other reader. */
function byTheBook(text: string): SseFrame[] {
  const frames: SseFrame[] = [];
  let data: string[] = [];
  let fields: { event?: string; id?: string } = {};
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/);
  for (const [index, line] of lines.entries()) {
    const isBlank = line === '' && index < lines.length - 1;
    const isEnd = index === lines.length - 1;
    if (line !== '' && !line.startsWith(':')) {
      const colon = line.indexOf(':');
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (name === 'data') data.push(value);
      if (name === 'event' || name === 'id') fields[name] = value;
    }
    if (!isBlank && !isEnd) continue;
    if (data.length > 0) {
      frames.push({
        event: fields.event,
        data: data.join('\n'),
        id: fields.id,
        retryMs: undefined,
        raw: new Uint8Array(0),
      });
    }
    data = [];
    fields = {};
  }
  return frames;
}

describe('writing', () => {
  test('what is written reads back', () => {
    expect(utf8Text(encodeSse({ event: 'message_stop', data: '{}' }))).toBe(
      'event: message_stop\ndata: {}\n\n',
    );
    expect(utf8Text(encodeSse({ data: 'a\nb\r\nc' }))).toBe('data: a\ndata: b\ndata: c\n\n');
    expect(utf8Text(encodeSseComment('keep-alive'))).toBe(': keep-alive\n\n');
    const frames = framesOf([encodeSse({ id: '1', retryMs: 5, event: 'e', data: ' x\ny' })]);
    expect(seen(frames)).toEqual([{ event: 'e', data: ' x\ny', id: '1', retryMs: 5 }]);
  });

  test('a line break in an event name is a fault, not a second field', () => {
    expect(() => encodeSse({ event: 'a\ndata: b', data: '' })).toThrow('broken invariant');
  });
});
