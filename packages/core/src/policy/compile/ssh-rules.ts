/** SSH rules of one node, as its server takes them. */
import { present } from '../../base/assert.ts';
import type { SshRule, SshUser } from '../file/model.ts';
import { domainOf, localPartOf } from './directory.ts';
import type { IndexedNode, NodeIndex } from './node-index.ts';
import { hasSlot, type NodeSet, slotsOf } from './node-set.ts';
import { Lowering, type Principals, type Program } from './program.ts';
import type { Resolver } from './resolve.ts';
import type { WireSshAction, WireSshPrincipal, WireSshRule } from './wire.ts';

export interface SshProgramRule {
  readonly rule: SshRule;
  readonly src: Principals;
  /** Destinations other than `autogroup:self`. */
  readonly dst: Principals;
  readonly hasSelf: boolean;
  readonly hasOthers: boolean;
  readonly users: Readonly<Record<string, string>>;
  readonly domains: readonly string[];
}

export interface SshProgram {
  readonly program: Program;
  readonly rules: readonly SshProgramRule[];
}

export function lowerSsh(program: Program): SshProgram {
  const { file, directory, services } = program;
  const lowering = new Lowering(file, directory, services);
  const defaults = file.defaultSrcPosture;
  const rules = file.ssh.map((rule) => {
    const others = rule.dst.filter((dst) => dst.kind !== 'autogroup' || dst.name !== 'self');
    const postures = (rule.srcPosture ?? defaults).map((name) => name.text);
    return {
      rule,
      src: lowering.principals(rule.src, postures),
      dst: lowering.principals(others, []),
      hasSelf: others.length < rule.dst.length,
      hasOthers: others.length > 0,
      users: userMapOf(rule.users),
      domains: rule.users.flatMap((user) => (user.kind === 'localpart' ? [user.domain] : [])),
    };
  });
  // The server takes the first rule that matches, so that the stricter ones have to come first.
  const checks = rules.filter(({ rule }) => rule.action === 'check');
  const accepts = rules.filter(({ rule }) => rule.action === 'accept');
  return { program, rules: [...checks, ...accepts] };
}

/** Requested to local user. Root is always said, so that `*` never covers it. */
function userMapOf(users: readonly SshUser[]): Readonly<Record<string, string>> {
  const map = new Map<string, string>();
  if (users.some((user) => user.kind === 'nonroot')) map.set('*', '=');
  map.set('root', users.some((user) => user.kind === 'root') ? 'root' : '');
  for (const user of users) if (user.kind === 'literal') map.set(user.name, user.name);
  return Object.fromEntries(map);
}

/** Sources of a rule: machines by owner in the order of the users, then machines with tags. */
interface Principal {
  readonly userId: string | undefined;
  readonly principals: readonly WireSshPrincipal[];
}

export function compileSsh(
  ssh: SshProgram,
  index: NodeIndex,
  resolver: Resolver,
  indexed: IndexedNode,
  checkUrl: string,
): readonly WireSshRule[] {
  return ssh.rules.flatMap((rule) => {
    const nodes = resolver.nodesOf(rule.src);
    const groups = receivedFrom(ssh.program, index, nodes, rule, indexed);
    return groups.flatMap((group) => wireRules(ssh.program, rule, group, checkUrl));
  });
}

/** The groups of sources that a node lets in under a rule. A rule is sent once for each. */
function receivedFrom(
  program: Program,
  index: NodeIndex,
  nodes: NodeSet,
  rule: SshProgramRule,
  indexed: IndexedNode,
): readonly Principal[] {
  const out: Principal[] = [];
  const isSource = hasSlot(nodes, indexed.slot);
  const own = (): readonly Principal[] =>
    groupSources(program, index, nodes).filter(({ userId }) => userId === indexed.ownerId);
  if (rule.hasSelf && indexed.ownerId !== undefined) out.push(...own());
  if (rule.hasOthers) {
    if (rule.dst.keys.some((key) => indexed.keys.includes(key))) {
      const groups = groupSources(program, index, nodes);
      out.push(...(rule.domains.length > 0 ? groups : joined(groups)));
    } else if (rule.domains.length > 0 && isSource) {
      // With a local part in the rule, the service also sends each source the rule for its own owner.
      out.push(...(indexed.ownerId === undefined ? [ofNode(indexed)] : own()));
    }
  }
  return out;
}

function ofNode(indexed: IndexedNode): Principal {
  return { userId: undefined, principals: indexed.texts.map((nodeIP) => ({ nodeIP })) };
}

function joined(groups: readonly Principal[]): readonly Principal[] {
  const principals = groups.flatMap((group) => group.principals);
  return principals.length === 0 ? [] : [{ userId: undefined, principals }];
}

function groupSources(program: Program, index: NodeIndex, nodes: NodeSet): readonly Principal[] {
  const byOwner = new Map<string, WireSshPrincipal[]>();
  const tagged: WireSshPrincipal[] = [];
  for (const slot of slotsOf(nodes)) {
    const source = present(index.at(slot), 'source node');
    const list = source.ownerId === undefined ? tagged : (byOwner.get(source.ownerId) ?? []);
    list.push(...source.texts.map((nodeIP) => ({ nodeIP })));
    if (source.ownerId !== undefined) byOwner.set(source.ownerId, list);
  }
  const groups: Principal[] = [];
  for (const { id } of program.directory.users) {
    const principals = byOwner.get(id);
    if (principals !== undefined) groups.push({ userId: id, principals });
  }
  if (tagged.length > 0) groups.push({ userId: undefined, principals: tagged });
  return groups;
}

function wireRules(
  program: Program,
  rule: SshProgramRule,
  { userId, principals }: Principal,
  checkUrl: string,
): readonly WireSshRule[] {
  const env = rule.rule.acceptEnv;
  const action = actionOf(rule.rule, checkUrl);
  const of = (sshUsers: Readonly<Record<string, string>>): WireSshRule =>
    env.length === 0
      ? { principals, sshUsers, action }
      : { principals, sshUsers, action, acceptEnv: env };
  const login = userId === undefined ? undefined : program.directory.user(userId)?.login;
  if (login === undefined || !rule.domains.includes(domainOf(login))) return [of(rule.users)];
  const local = localPartOf(login);
  return [of(rule.users), of({ [local]: local })];
}

function actionOf({ action }: SshRule, checkUrl: string): WireSshAction {
  if (action === 'check') {
    const path = '/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER';
    return { holdAndDelegate: checkUrl + path };
  }
  return {
    accept: true,
    allowAgentForwarding: true,
    allowLocalPortForwarding: true,
    allowRemotePortForwarding: true,
  };
}
