/**
 * The second opinion: what stock clients do with the compiled rules. Interprets the wire texts alone, so that a
 * witness found by reasoning about rules is checked against what nodes are really told.
 */
import {
  type Addr,
  everyAddr,
  formatAddr,
  type IpSet,
  ipSetOf,
  parsePrefixOrAddr,
  parseRange,
  rangeOfPrefix,
} from '../../base/netip/index.ts';
import { assert } from '../../base/assert.ts';
import type { Tailnet } from '../compile/tailnet.ts';
import type { WireFilterRule } from '../compile/wire.ts';
import { defaultProtocols } from '../file/protocol.ts';

/** A packet that starts a connection, as it arrives at a node. */
export interface Packet {
  readonly source: Addr;
  readonly target: Addr;
  readonly protocol: number;
  readonly port: number;
}

/** Whether the packet filter of a node lets a packet in. */
export function nodeAdmits(tailnet: Tailnet, nodeId: string, packet: Packet): boolean {
  return tailnet.filterOf(nodeId).some((rule) => ruleAdmits(rule, packet));
}

function ruleAdmits(rule: WireFilterRule, { source, target, protocol, port }: Packet): boolean {
  const targets = rule.DstPorts ?? [];
  if (targets.length === 0 || !rule.SrcIPs.some((text) => holds(text, source))) return false;
  const here = targets.filter(({ IP }) => holds(IP, target));
  // Pings are let in by any rule between the two, whatever its protocol and ports.
  if (protocol === 1 || protocol === 58) return here.length > 0;
  if (!(rule.IPProto ?? defaultProtocols).includes(protocol)) return false;
  const hasPorts = protocol === 6 || protocol === 17 || protocol === 132;
  return here.some(({ Ports }) =>
    hasPorts
      ? Ports.First <= port && port <= Ports.Last
      : Ports.First === 0 && Ports.Last === 65_535,
  );
}

/** What the SSH server of a node does with a login: the first rule that knows the machine and the user decides. */
export function nodeLogin(
  tailnet: Tailnet,
  nodeId: string,
  source: Addr,
  user: string,
): 'accept' | 'check' | undefined {
  const text = formatAddr(source);
  for (const { principals, sshUsers, action } of tailnet.sshOf(nodeId, 'unused:')) {
    if (!principals.some(({ nodeIP }) => nodeIP === text)) continue;
    const local = sshUsers[user] ?? sshUsers['*'];
    if (local !== undefined && local !== '') return action.accept === true ? 'accept' : 'check';
  }
  return undefined;
}

const parsedTexts = new Map<string, IpSet>();
/** Texts kept; a tailnet has few different ones, and a full map is simply begun anew. */
const parsedTextsMax = 100_000;

function holds(text: string, addr: Addr): boolean {
  const known = parsedTexts.get(text);
  if (known !== undefined) return known.containsAddr(addr);
  if (parsedTexts.size >= parsedTextsMax) parsedTexts.clear();
  const set = setOfWireText(text);
  parsedTexts.set(text, set);
  return set.containsAddr(addr);
}

/** `*`, an address, a prefix or `first-last`. */
function setOfWireText(text: string): IpSet {
  if (text === '*') return everyAddr;
  if (text.includes('-')) {
    const range = parseRange(text);
    assert(range.ok, `wire range ${text}`);
    return ipSetOf([range.value]);
  }
  const prefix = parsePrefixOrAddr(text);
  assert(prefix.ok, `wire address ${text}`);
  return ipSetOf([rangeOfPrefix(prefix.value)]);
}
