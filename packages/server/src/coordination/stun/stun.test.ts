import { fromHex, toHex } from '@postern/core/base';
import { formatAddr, parseAddr } from '@postern/core/base/netip';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatBindingRequest,
  formatBindingResponse,
  isStun,
  parseBindingRequest,
  parseBindingResponse,
  StunServer,
} from './index.ts';

const id = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
const source = { address: '192.0.2.7', port: 41641 };

function addr(text: string): Parameters<typeof formatAddr>[0] {
  const parsed = parseAddr(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

describe('messages', () => {
  test('a request has the bytes that a Tailscale client sends', () => {
    expect(toHex(formatBindingRequest(id))).toBe(
      '000100142112a4420102030405060708090a0b0c802200087461696c6e6f646580280004b32c370f',
    );
  });

  test('a request is read back as its transaction', () => {
    expect(parseBindingRequest(formatBindingRequest(id))).toEqual({ ok: true, value: id });
  });

  test('every changed bit of a request makes it another message or refuses it', () => {
    const request = formatBindingRequest(id);
    for (let bit = 0; bit < request.length * 8; bit += 1) {
      const changed = request.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(parseBindingRequest(changed).ok, `bit ${bit}`).toBe(false);
    }
  });

  test.each([
    [
      'a response',
      '0101000c2112a442f9f121cbde7d7c75923ce271002000080001c7876957856f',
      'not a binding request',
    ],
    ['nothing', '', 'not stun'],
    ['no software', '000100082112a4420102030405060708090a0b0c8028000400000000', 'other software'],
    [
      'no fingerprint',
      '0001000c2112a4420102030405060708090a0b0c802200087461696c6e6f6465',
      'no fingerprint',
    ],
    [
      'a cut attribute',
      '0001000c2112a4420102030405060708090a0b0c802200087461696c',
      'malformed attributes',
    ],
  ])('a request that is %s is refused', (_name, hex, problem) => {
    expect(parseBindingRequest(fromHex(hex) ?? new Uint8Array())).toEqual({
      ok: false,
      error: problem,
    });
  });

  test.each([
    ['192.0.2.7', 1],
    ['2001:db8::1', 65_535],
    ['0.0.0.0', 0],
  ])('an answer says %s and port %i', (text, port) => {
    const answer = formatBindingResponse(id, { addr: addr(text), port });
    const read = parseBindingResponse(answer);
    if (!read.ok) throw new Error(read.error);
    expect([formatAddr(read.value.from.addr), read.value.from.port]).toEqual([text, port]);
    expect(read.value.id).toEqual(id);
  });

  test('a mapped IPv4 source is said as IPv4', () => {
    const mapped = formatBindingResponse(id, { addr: addr('::ffff:192.0.2.7'), port: 5 });
    expect(mapped).toEqual(formatBindingResponse(id, { addr: addr('192.0.2.7'), port: 5 }));
  });

  test('no bytes crash a reader', () => {
    const header = fc.constantFrom(new Uint8Array(), formatBindingRequest(id));
    fc.assert(
      fc.property(header, fc.uint8Array({ maxLength: 200 }), (before, after) => {
        const bytes = Uint8Array.from([...before, ...after]);
        isStun(bytes);
        parseBindingRequest(bytes);
        parseBindingResponse(bytes);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('server', () => {
  test('a request is answered with the source it came from', () => {
    const server = new StunServer({ nowMs: () => 0 });
    const answer = server.answer(formatBindingRequest(id), source);
    expect(toHex(answer ?? new Uint8Array())).toBe(
      '0101000c2112a4420102030405060708090a0b0c002000080001 83bb e112a645'.replaceAll(' ', ''),
    );
    expect(server.stats).toEqual({ answered: 1, ignored: 0, limited: 0 });
  });

  test('anything else is not answered', () => {
    const server = new StunServer({ nowMs: () => 0 });
    expect(server.answer(new Uint8Array(2_000), source)).toBeUndefined();
    expect(server.answer(new Uint8Array(40), source)).toBeUndefined();
    expect(server.answer(formatBindingRequest(id), { address: 'x', port: 1 })).toBeUndefined();
    expect(server.stats).toEqual({ answered: 0, ignored: 3, limited: 0 });
  });

  test('a source that asks too often waits for the next window; others do not', () => {
    let nowMs = 0;
    const limits = { answersPerSourceMax: 2, windowMs: 1_000 };
    const server = new StunServer({ nowMs: () => nowMs, limits });
    const ask = (address: string): boolean =>
      server.answer(formatBindingRequest(id), { address, port: 9 }) !== undefined;
    expect([ask('2001:db8::1'), ask('2001:db8::2'), ask('2001:db8::3')]).toEqual([
      true,
      true,
      false,
    ]);
    expect(ask('2001:db8:0:1::1')).toBe(true);
    nowMs = 1_000;
    expect(ask('2001:db8::3')).toBe(true);
  });

  test('many spoofed sources cost bounded memory', () => {
    const server = new StunServer({ nowMs: () => 0, limits: { sourcesMax: 10 } });
    const request = formatBindingRequest(id);
    for (let i = 0; i < 100; i += 1) server.answer(request, { address: `192.0.2.${i}`, port: 1 });
    expect(server.stats).toEqual({ answered: 10, ignored: 0, limited: 90 });
  });
});
