/** The second opinion on a change: what the compiled rules say about one case of it. */
import type { SourceAtom, TargetAtom } from './atoms.ts';
import { admitsPacket, type PacketKind } from './opening.ts';
import type { Relation } from './relation.ts';
import { effectiveLogin, exampleLogin, moreThan } from './ssh-logins.ts';
import { nodeAdmits, nodeLogin } from './wire-check.ts';
import { canonicalText } from './canonical.ts';

export type AccessKind = 'network' | 'capability' | 'ssh';

/** What one access has over another. */
export interface Gain {
  readonly kind: AccessKind;
  /** Ports, `name value` of a capability, or `action user`. */
  readonly what: string;
  /** For `network`: one packet of it. */
  readonly packet: PacketKind | undefined;
  /** For `ssh`: the local user, or `*`, or a local part. */
  readonly login: string | undefined;
}

/** Whether the rules that the target is told allow it, by nothing but their wire form. */
export function isConfirmed(
  { tailnet }: Relation,
  { kind, what, packet, login }: Gain,
  source: SourceAtom,
  target: TargetAtom,
): boolean {
  if (kind === 'capability') {
    const whois = tailnet.capabilitiesOf(target.nodeId, source.addr);
    return Object.entries(whois).some(([name, values]) =>
      values === null || values.length === 0
        ? what === `${name} null`
        : values.some((value) => what === `${name} ${canonicalText(value)}`),
    );
  }
  if (login !== undefined) {
    const node = source.slot === undefined ? undefined : tailnet.index.at(source.slot);
    const user = exampleLogin(login, node, tailnet.program.directory);
    const action = nodeLogin(tailnet, target.nodeId, source.addr, user);
    const wanted = what.startsWith('accept') ? 'accept' : 'check';
    return action !== undefined && !moreThan(wanted, action);
  }
  if (packet === undefined) return false;
  return nodeAdmits(tailnet, target.nodeId, {
    ...packet,
    source: source.addr,
    target: target.addr,
  });
}

/** Ids of the rules that give it, each by itself. */
export function givingRules(
  relation: Relation,
  { kind, what, packet, login }: Gain,
  source: SourceAtom,
  target: TargetAtom,
): readonly string[] {
  const from = relation.sourceClass(source);
  const to = relation.targetClass(target);
  if (from === undefined || to === undefined) return [];
  return relation.rulesBetween(source, target).filter((id) => {
    const { opening, capabilities, ssh } = relation.partOf(id, from, to);
    if (kind === 'capability') return capabilities.includes(what);
    if (login !== undefined) return effectiveLogin(ssh, login) !== undefined;
    return packet !== undefined && admitsPacket(opening, packet.protocol, packet.port);
  });
}
