import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkPass } from './chunk-pass.ts';

/** Walks a body that arrives in these pieces: what goes on as it is, the trailers, and whether it was whole. */
function walk(pieces: readonly Buffer[]): {
  readonly raw: string;
  readonly trailers: readonly string[];
  readonly end: 'done' | 'open' | 'broken';
} {
  const pass = new ChunkPass(1_024);
  let raw = '';
  for (const piece of pieces) {
    const end = pass.walk(piece, 0);
    if (end === -1) return { raw, trailers: pass.trailers, end: 'broken' };
    raw += piece.toString('latin1', 0, pass.rawEnd);
    if (pass.isDone) return { raw, trailers: pass.trailers, end: 'done' };
  }
  return { raw, trailers: pass.trailers, end: 'open' };
}

function split(text: string, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].toSorted((a, b) => a - b);
  const ends = [...at, text.length];
  let from = 0;
  return ends.flatMap((end) => {
    const piece = text.slice(from, end);
    from = end;
    return piece === '' ? [] : [Buffer.from(piece, 'latin1')];
  });
}

describe('a chunked body that is passed on', () => {
  test('goes on byte for byte up to its trailers, however it is split', () => {
    const data = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme-ascii' }), {
      maxLength: 6,
    });
    const trailers = fc.array(
      fc.tuple(fc.stringMatching(/^[a-z][a-z-]{0,8}$/), fc.stringMatching(/^[!-~]{0,12}$/)),
      { maxLength: 3 },
    );
    const cuts = fc.array(fc.nat(400), { maxLength: 12 });
    fc.assert(
      fc.property(data, trailers, cuts, (chunks, fields, at) => {
        const body = chunks.map((one) => `${one.length.toString(16)}\r\n${one}\r\n`).join('');
        const raw = `${body}0\r\n`;
        const text = `${raw}${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
        expect(walk(split(text, at))).toEqual({ raw, trailers: fields.flat(), end: 'done' });
      }),
    );
  });

  test('what is not one is found, and nothing of the piece in which it was found goes on', () => {
    for (const text of [
      'x\r\nabc',
      '5\nhello\r\n0\r\n\r\n',
      '5\r\nhello0\r\n\r\n',
      '5\r\nhello\r\nzz\r\n',
      '-1\r\n',
      '5 \r\nhello\r\n',
      '123456789\r\n',
      '0\r\nbad trailer\r\n\r\n',
      '0\r\na: b\nc: d\r\n\r\n',
      `1;${'e'.repeat(2_000)}\r\n`,
    ]) {
      expect(walk([Buffer.from(text)])).toMatchObject({ raw: '', end: 'broken' });
    }
  });

  test('an extension means nothing and goes on', () => {
    const text = '3;a=b;c\r\nabc\r\n0\r\n\r\n';
    expect(walk([Buffer.from(text)])).toMatchObject({ raw: text.slice(0, -2), end: 'done' });
  });
});
