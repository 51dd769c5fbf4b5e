import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { readPem, writePem } from './index.ts';

function codeOf(text: string): unknown {
  const result = readPem(text);
  return result.ok ? result.value.length : result.error;
}

test('a block comes back from its text, whatever its length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
      const text = writePem({ label: 'CERTIFICATE', bytes });
      expect(readPem(text)).toEqual({ ok: true, value: [{ label: 'CERTIFICATE', bytes }] });
      expect(readPem(text.replaceAll('\n', '\r\n'))).toMatchObject({ ok: true });
    }),
  );
});

test('several blocks are read in order', () => {
  const text = ['A', 'B C'].map((label) => writePem({ label, bytes: Uint8Array.of(1) })).join('\n');
  const result = readPem(text);
  expect(result.ok && result.value.map((block) => block.label)).toEqual(['A', 'B C']);
});

test('ill-formed texts are refused with their line', () => {
  expect(codeOf('')).toBe(0);
  expect(codeOf('-----BEGIN A-----\nAA==\n')).toEqual({ code: 'bad-boundary', line: 3 });
  expect(codeOf('-----BEGIN A-----\nAA==\n-----END B-----')).toEqual({
    code: 'bad-boundary',
    line: 3,
  });
  expect(codeOf('-----END A-----')).toEqual({ code: 'bad-boundary', line: 1 });
  expect(codeOf('-----BEGIN a-----')).toEqual({ code: 'bad-boundary', line: 1 });
  expect(codeOf('-----BEGIN A-----\nAB==\n-----END A-----')).toEqual({
    code: 'bad-base64',
    line: 3,
  });
  expect(codeOf('-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\nAA==\n-----END A-----')).toEqual({
    code: 'bad-base64',
    line: 4,
  });
  expect(codeOf('-----BEGIN A-----\n-----END A-----')).toEqual({ code: 'bad-base64', line: 2 });
});

test('text between blocks is refused unless the caller allows it', () => {
  const text = `# my root\n${writePem({ label: 'CERTIFICATE', bytes: Uint8Array.of(7) })}`;
  expect(codeOf(text)).toEqual({ code: 'stray-text', line: 1 });
  expect(readPem(text, { allowsText: true })).toMatchObject({ ok: true });
});

test('arbitrary text never throws', () => {
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void readPem(text)));
});

test('a block of three million characters does not overflow the matcher', () => {
  const bytes = new Uint8Array(2_200_000).fill(65);
  const result = readPem(writePem({ label: 'X509 CRL', bytes }));
  expect(result.ok && result.value[0]?.bytes.length).toBe(2_200_000);
});
