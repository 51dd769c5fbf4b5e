import { expect, test } from 'vitest';
import { describeProblem, parseConfigText } from './config-file.ts';

test('several mistakes are told in the order of the file, each at its place', () => {
  const text = `{
  "limts": {},
  "providers": { "a": { "kind": "openai", "baseURL": "http://127.0.0.1:1" } },
  "aliases": { "fast": "a/b" },
}`;
  const parsed = parseConfigText(text, 'postern.hujson');
  expect(parsed.ok ? [] : parsed.error.map(describeProblem)).toEqual([
    expect.stringMatching(/^postern\.hujson:2:12: \/limts: there is no such key here; /),
    expect.stringMatching(/^postern\.hujson:3:54: \/providers\/a\/baseURL: there is no such key/),
    expect.stringMatching(/^postern\.hujson:4:24: \/aliases\/fast: expected array, received str/),
  ]);
});
