/** Judges `base/netip` by tables of address and route questions: `{cases:[{name, op, …, expected}]}`. */
import { readFileSync } from 'node:fs';
import {
  type Addr,
  addrEquals,
  containsExitRoute,
  containsExitRoutePair,
  containsSubnetRoute,
  firstTailscaleAddrs,
  formatAddr,
  formatPrefix,
  inChromeOsRange,
  isCgnat,
  isExitRoute,
  isTailscaleAddr,
  isTailscaleV4,
  isViaPrefix,
  type Prefix,
  parseAddr,
  parsePrefix,
  prefixEquals,
  unmapVia,
  withoutExitRoutePair,
  withoutExitRoutes,
} from '@postern/core/base/netip';
import type { CaseResult } from './suite.ts';

interface NetipCase {
  readonly name: string;
  readonly op: string;
  readonly address?: string;
  readonly prefix?: string;
  readonly prefixes?: readonly string[];
  readonly expected: unknown;
}

/** A question and how its answer is compared with the expected value; the text says what was wrong. */
type Question = (c: NetipCase) => string | undefined;

const questions: Readonly<Record<string, Question>> = {
  inChromeOsRange: (c) => same(inChromeOsRange(address(c.address)), c.expected),
  isCgnat: (c) => same(isCgnat(address(c.address)), c.expected),
  isTailscaleIP: (c) => same(isTailscaleAddr(address(c.address)), c.expected),
  isTailscaleIPv4: (c) => same(isTailscaleV4(address(c.address)), c.expected),
  unmapVia: (c) => sameAddr(unmapVia(address(c.address)), c.expected),
  isExitRoute: (c) => same(isExitRoute(prefix(c.prefix)), c.expected),
  isViaPrefix: (c) => same(isViaPrefix(prefix(c.prefix)), c.expected),
  containsExitRoute: (c) => same(containsExitRoute(prefixes(c)), c.expected),
  containsExitRoutePair: (c) => same(containsExitRoutePair(prefixes(c)), c.expected),
  containsExitRoutes: (c) => same(containsExitRoutePair(prefixes(c)), c.expected),
  containsNonExitSubnetRoutes: (c) => same(containsSubnetRoute(prefixes(c)), c.expected),
  withoutExitRoute: (c) => samePrefixes(withoutExitRoutes(prefixes(c)), c.expected),
  withoutExitRoutesPair: (c) => samePrefixes(withoutExitRoutePair(prefixes(c)), c.expected),
  withoutExitRoutes: (c) => samePrefixes(withoutExitRoutePair(prefixes(c)), c.expected),
  firstTailscaleAddrs: (c) => {
    const found = firstTailscaleAddrs(prefixes(c));
    const want = c.expected as { ipv4?: unknown; ipv6?: unknown }; // The op fixes this shape.
    return sameAddr(found.v4, want.ipv4) ?? sameAddr(found.v6, want.ipv6);
  },
};

export async function* suite(files: readonly string[]): AsyncIterable<CaseResult> {
  for (const file of files) {
    const table = JSON.parse(readFileSync(file, 'utf8')) as { cases?: readonly NetipCase[] }; // Trusted test data.
    for (const c of table.cases ?? []) yield judge(c);
  }
}

function judge(c: NetipCase): CaseResult {
  const question = questions[c.op];
  if (question === undefined) return { id: c.name, pass: false, why: `unknown op ${c.op}` };
  try {
    const why = question(c);
    return why === undefined ? { id: c.name, pass: true } : { id: c.name, pass: false, why };
  } catch (fault) {
    return { id: c.name, pass: false, why: String(fault) };
  }
}

function address(text: string | undefined): Addr {
  const parsed = parseAddr(text ?? '');
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function prefix(text: string | undefined): Prefix {
  const parsed = parsePrefix(text ?? '');
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function prefixes(c: NetipCase): readonly Prefix[] {
  return (c.prefixes ?? []).map((text) => prefix(text));
}

function same(got: boolean, want: unknown): string | undefined {
  return got === want ? undefined : `got ${String(got)}, want ${String(want)}`;
}

/** Compared as addresses, since the table writes some of them in a form that is not canonical. */
function sameAddr(got: Addr | undefined, want: unknown): string | undefined {
  const absent = typeof want !== 'string' || want === '' || want === 'invalid IP';
  if (got === undefined || absent) {
    return got === undefined && absent
      ? undefined
      : `got ${got === undefined ? 'none' : formatAddr(got)}, want ${String(want)}`;
  }
  return addrEquals(got, address(want)) ? undefined : `got ${formatAddr(got)}, want ${want}`;
}

function samePrefixes(got: readonly Prefix[], want: unknown): string | undefined {
  const wanted = (Array.isArray(want) ? want : []).map((text) => prefix(String(text)));
  const equal =
    got.length === wanted.length &&
    got.every((entry, i) => {
      const other = wanted[i];
      return other !== undefined && prefixEquals(entry, other);
    });
  return equal ? undefined : `got ${got.map(formatPrefix).join(' ')}, want ${String(want)}`;
}
