import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Command, StateEvent } from './command.ts';
import type { DecideContext, Decision } from './decision.ts';
import { stateLimits } from './limits.ts';
import { canonicalJson } from './canonical.ts';
import type { NetworkNode, NetworkState, NetworkUser, PreAuthKey } from './network.ts';
import { userSubjectKey } from './network.ts';
import type { UserClaim } from './network-command.ts';
import { freeLabel, labelOf } from './network-name.ts';

type Of<K extends Command['kind']> = Extract<Command, { kind: K }>;

/** How many spent keys go at once when there is no more room. */
const sweepMax = 1_000;

export function createUser(
  network: NetworkState,
  { user }: Of<'user.create'>,
  nowMs: number,
): Decision {
  const found = userOf(network, user, nowMs);
  return found.ok ? ok(found.value.events) : found;
}

/** Nobody has a role by coming first or by what an issuer says: operators give and take them. */
export function setUserRole(network: NetworkState, { login, role }: Of<'user.role'>): Decision {
  const before = network.usersByLogin.get(login.toLowerCase());
  if (before === undefined) {
    return refuse('not_found', `There is no user ${login}.`, { param: 'login' });
  }
  if (before.role === role) return ok([]);
  const { role: _, ...rest } = before;
  const user = role === undefined ? rest : { ...rest, role };
  return ok([{ kind: 'user.saved', user }]);
}

interface FoundUser {
  readonly user: NetworkUser;
  readonly events: readonly StateEvent[];
}

/**
 * The user of a claim, made where there is none yet. An operator's claim names whoever has the login; an issuer's
 * claim finds its own subject only, and follows a change of the login where that is free.
 */
export function userOf(
  network: NetworkState,
  claim: UserClaim,
  nowMs: number,
): Result<FoundUser, Refusal> {
  const byLogin = network.usersByLogin.get(claim.login.toLowerCase());
  if (claim.authority === 'postern' && byLogin !== undefined)
    return ok({ user: byLogin, events: [] });
  const known = network.usersBySubject.get(userSubjectKey(claim.authority, claim.subject));
  if (byLogin !== undefined && byLogin.id !== known?.id) {
    // An operator may have named a person before they signed in; nobody else's login is ever taken over.
    if (known !== undefined || byLogin.authority !== 'postern') {
      return refuse(
        'conflict',
        `The login ${claim.login} belongs to another identity of this network.`,
      );
    }
    return saved({ ...byLogin, ...claim });
  }
  if (known !== undefined) {
    const isSame = known.login === claim.login && known.displayName === claim.displayName;
    return isSame ? ok({ user: known, events: [] }) : saved({ ...known, ...claim });
  }
  if (network.usersById.size >= stateLimits.networkUsersMax) {
    return refuse(
      'conflict',
      `There are ${network.usersById.size} users, as many as Postern keeps.`,
    );
  }
  const number = network.lastUser + 1;
  return saved({ id: `u${number}`, number, ...claim, createdAtMs: nowMs });
}

function saved(user: NetworkUser): Result<FoundUser, Refusal> {
  return ok({ user, events: [{ kind: 'user.saved', user }] });
}

export function createPreAuthKey(
  network: NetworkState,
  command: Of<'preauthkey.create'>,
  { nowMs, newId, author }: DecideContext,
): Decision {
  const { login, lifeMs, description, digest, hint, tags, reusable, ephemeral } = command;
  const { preApproved, awaitsBinding } = command;
  if (network.preAuthKeysByDigest.has(digest)) {
    return refuse('conflict', 'This secret is a pre-auth key already.');
  }
  const claim = {
    authority: 'postern',
    subject: login?.toLowerCase() ?? '',
    displayName: login ?? '',
  };
  const owner = login === undefined ? undefined : userOf(network, { ...claim, login }, nowMs);
  if (owner !== undefined && !owner.ok) return owner;
  const room = roomForPreAuthKey(network, nowMs);
  if (!room.ok) return room;
  const key: PreAuthKey = {
    id: `pak_${newId()}`,
    digest,
    hint,
    ...(owner === undefined ? {} : { userId: owner.value.user.id }),
    tags,
    reusable,
    ephemeral,
    preApproved,
    createdBy: author.actor.principal,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + lifeMs,
    ...(description === undefined ? {} : { description }),
    ...(awaitsBinding === true ? { awaitsBinding } : {}),
  };
  return ok([...room.value, ...(owner?.value.events ?? []), { kind: 'preauthkey.saved', key }]);
}

function roomForPreAuthKey(network: NetworkState, nowMs: number): Decision {
  if (network.preAuthKeysById.size < stateLimits.preAuthKeysMax) return ok([]);
  const dead = [...network.preAuthKeysById.values()].filter(
    (key) => preAuthKeyProblem(key, nowMs) !== undefined,
  );
  if (dead.length === 0) {
    return refuse(
      'conflict',
      'There are as many pre-auth keys as Postern keeps. Revoke some first.',
    );
  }
  const ids = dead
    .toSorted((a, b) => a.createdAtMs - b.createdAtMs)
    .slice(0, sweepMax)
    .map(({ id }) => id);
  return ok([{ kind: 'preauthkeys.dropped', ids }]);
}

/** Why a key admits nobody any more. */
export function preAuthKeyProblem(key: PreAuthKey, nowMs: number): string | undefined {
  if (key.revokedAtMs !== undefined) return 'it was revoked';
  if (nowMs >= key.expiresAtMs) return 'it has expired';
  return !key.reusable && key.usedAtMs !== undefined ? 'it was used already' : undefined;
}

export function revokePreAuthKey(
  network: NetworkState,
  { id }: Of<'preauthkey.revoke'>,
  nowMs: number,
): Decision {
  const key = network.preAuthKeysById.get(id);
  if (key === undefined)
    return refuse('not_found', `There is no pre-auth key ${id}.`, { param: 'id' });
  if (key.revokedAtMs !== undefined) return ok([]);
  return ok([{ kind: 'preauthkey.saved', key: { ...key, revokedAtMs: nowMs } }]);
}

/** An id, a number as clients show it, or a name. */
export function findNode(network: NetworkState, text: string): NetworkNode | undefined {
  return (
    network.nodesById.get(text) ??
    network.nodesByName.get(text.toLowerCase()) ??
    network.nodesByAddress.get(text)
  );
}

function withFound(
  network: NetworkState,
  id: string,
  change: (node: NetworkNode) => Decision,
): Decision {
  const node = findNode(network, id);
  return node === undefined
    ? refuse('not_found', `There is no node ${id}.`, { param: 'id' })
    : change(node);
}

/** The event of a change, or none where it changes nothing. */
function saveChanged(before: NetworkNode, after: NetworkNode): Decision {
  if (canonicalJson(before) === canonicalJson(after)) return ok([]);
  return ok([{ kind: 'node.saved', node: after }]);
}

export function expireNode(
  network: NetworkState,
  { id, isLogout }: Of<'node.expire'>,
  nowMs: number,
): Decision {
  return withFound(network, id, (node) => {
    if (isLogout && node.ephemeral) return ok([{ kind: 'node.removed', id: node.id }]);
    const ended = node.keyExpiresAtMs !== undefined && node.keyExpiresAtMs <= nowMs;
    return ended ? ok([]) : saveChanged(node, { ...node, keyExpiresAtMs: nowMs });
  });
}

export function approveNode(network: NetworkState, { id }: Of<'node.approve'>): Decision {
  return withFound(network, id, (node) => saveChanged(node, { ...node, approved: true }));
}

export function deleteNode(network: NetworkState, { id }: Of<'node.delete'>): Decision {
  return withFound(network, id, (node) => ok([{ kind: 'node.removed', id: node.id }]));
}

export function renameNode(network: NetworkState, { id, name, from }: Of<'node.rename'>): Decision {
  const isNamed = from === 'chosen';
  return withFound(network, id, (node) => {
    const others = (label: string): boolean => {
      const holder = network.nodesByName.get(label);
      return holder !== undefined && holder.id !== node.id;
    };
    if (isNamed && others(name)) {
      return refuse('conflict', `The name ${name} belongs to another node.`, { param: 'name' });
    }
    if (from === 'reported' && node.isNamed) return ok([]);
    const label = isNamed ? name : freeLabel(labelOf(name), others);
    return saveChanged(node, { ...node, name: label, isNamed });
  });
}

/** A node with tags belongs to nobody and does not expire; without them it would belong to nobody at all. */
export function tagNode(network: NetworkState, { id, tags }: Of<'node.tag'>): Decision {
  return withFound(network, id, (node) => {
    if (tags.length === 0 && node.userId === undefined) {
      return refuse(
        'invalid_request',
        'tags: without tags this node would belong to nobody. Delete it, or let its user sign in again.',
        { param: 'tags' },
      );
    }
    const { keyExpiresAtMs: _, ...rest } = node;
    return saveChanged(node, { ...(tags.length > 0 ? rest : node), tags: tags.toSorted() });
  });
}

export function routeNode(network: NetworkState, { id, approved }: Of<'node.routes'>): Decision {
  return withFound(network, id, (node) =>
    saveChanged(node, { ...node, approvedRoutes: approved.toSorted() }),
  );
}

export function setDns(network: NetworkState, { dns }: Of<'dns.set'>): Decision {
  if (canonicalJson(network.dns) === canonicalJson(dns)) return ok([]);
  return ok([{ kind: 'dns.changed', dns }]);
}

/** Whether the key of a node is over. */
export function isNodeExpired(node: NetworkNode, nowMs: number): boolean {
  return node.keyExpiresAtMs !== undefined && nowMs >= node.keyExpiresAtMs;
}
