/** ipsets: named sets of addresses, written as a list of additions and removals. */
import { type AddrRange, parseRange, rangeOfPrefix } from '../../base/netip/index.ts';
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';
import { parseAddressOrPrefix } from './selector.ts';
import type { Position } from './source.ts';

export type IpSetTarget =
  | { readonly kind: 'range'; readonly range: AddrRange }
  | { readonly kind: 'host'; readonly name: string }
  | { readonly kind: 'ipset'; readonly name: string }
  | { readonly kind: 'internet' };

export interface IpSetStep {
  readonly verb: 'add' | 'remove';
  readonly target: IpSetTarget;
  readonly text: string;
  readonly at: Position;
}

export interface IpSetRule {
  readonly name: string;
  readonly steps: readonly IpSetStep[];
  readonly at: Position;
}

export interface IpSetEntry {
  /** Undefined where the entry leaves it out, which means `add`. */
  readonly verb: 'add' | 'remove' | undefined;
  readonly target: IpSetTarget;
}

/** Reads `add 10.0.0.0/8`, `remove 10.1.2.3`, `10.0.0.1-10.0.0.9`, `host:db`, `ipset:x`, `autogroup:internet`. */
export function parseIpSetEntry(text: string): Result<IpSetEntry, string> {
  const verb = /^(add|remove)\s+/.exec(text);
  const targetText = verb === null ? text : text.slice(verb[0].length);
  const target = parseTarget(targetText);
  if (!target.ok) return target;
  const word = verb?.[1];
  return ok({
    verb: word === 'add' || word === 'remove' ? word : undefined,
    target: target.value,
  });
}

function parseTarget(text: string): Result<IpSetTarget, string> {
  if (text === 'autogroup:internet') return ok({ kind: 'internet' });
  if (text.startsWith('ipset:')) return ok({ kind: 'ipset', name: text });
  if (text.startsWith('host:')) return ok({ kind: 'host', name: text.slice('host:'.length) });
  const prefix = parseAddressOrPrefix(text);
  if (prefix !== undefined) return ok({ kind: 'range', range: rangeOfPrefix(prefix) });
  const range = parseRange(text);
  if (range.ok) return ok({ kind: 'range', range: range.value });
  return err(
    `invalid ipset target ${goQuote(text)}: use an address, a prefix, a range, host:name, ipset:name or autogroup:internet`,
  );
}
