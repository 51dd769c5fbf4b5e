import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { mayTagsAssignTag, mayUserAssignTag } from '@postern/core/policy';
import type { Admission, NetworkNode, NetworkState } from '@postern/core/state';
import { isNodeExpired } from '@postern/core/state';
import type { NetworkView } from '../netmap/network-view.ts';
import { profileOf } from '../netmap/node-text.ts';
import type { CoordinationLog, NetworkJournal, NetworkSettings, SignedIn } from '../ports.ts';
import type { Hostinfo } from '../protocol/hostinfo.ts';
import type { RegisterRequest } from '../protocol/requests.ts';
import type { PendingJoin, PendingJoins } from './pending.ts';

export interface RegistrationOptions {
  readonly journal: NetworkJournal;
  readonly settings: NetworkSettings;
  readonly view: NetworkView;
  readonly pending: PendingJoins;
  readonly nowMs: () => number;
  readonly sha256Hex: (text: string) => string;
  readonly log: CoordinationLog;
}

/** `tailcfg.RegisterResponse`. */
export interface RegisterAnswer {
  readonly User: object;
  readonly Login: object;
  readonly NodeKeyExpired: boolean;
  readonly MachineAuthorized: boolean;
  readonly AuthURL: string;
  readonly Error: string;
}

const nobody: RegisterAnswer = Object.freeze({
  User: {},
  Login: {},
  NodeKeyExpired: false,
  MachineAuthorized: false,
  AuthURL: '',
  Error: '',
});

/** A request to join, as whoever may be its author. */
interface Join {
  readonly machineKey: string;
  readonly nodeKey: string;
  readonly hostinfo: Hostinfo | undefined;
  readonly ephemeral: boolean;
}

/** Lets machines in. The machine key is that of the connection; nothing that a request says about it counts. */
export class Registration {
  readonly #options: RegistrationOptions;

  constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  async answer(
    machineKey: string,
    request: RegisterRequest,
    signal: AbortSignal,
  ): Promise<RegisterAnswer> {
    const { nowMs, log } = this.#options;
    const known = this.#network().nodesByKey.get(request.nodeKey);
    if (known !== undefined && known.machineKey !== machineKey) {
      log.warn(
        { machine_key: machineKey, node: known.id },
        'a machine showed the node key of another',
      );
      return { ...nobody, Error: 'this node key belongs to another machine' };
    }
    if (request.expiryMs !== undefined && request.expiryMs <= nowMs()) {
      return this.#logout(machineKey, known);
    }
    const join: Join = { machineKey, ...request };
    if (request.authKey !== '') return this.#joinByKey(join, request.authKey);
    if (known !== undefined && !isNodeExpired(known, nowMs())) return this.#standing(known);
    const rotated = await this.#rotate(join, request.oldNodeKey);
    if (rotated !== undefined) return rotated;
    return this.#interactive(join, request.followUp, signal);
  }

  /** Lets a waiting machine in: a person signed in, or an operator says whose it is or which tags it has. */
  async admit(
    waiting: PendingJoin,
    as: { readonly who: SignedIn } | { readonly tags: readonly string[] },
    actor: string,
  ): Promise<Result<NetworkNode, Refusal>> {
    const isUser = 'who' in as;
    const admission: Admission = isUser ? { by: 'user', user: as.who } : { by: 'tags' };
    const tags = isUser ? [] : as.tags;
    const done = await this.#register(waiting, admission, tags, actor);
    if (done.ok) this.#options.pending.drop(waiting.id);
    return done;
  }

  async #logout(machineKey: string, known: NetworkNode | undefined): Promise<RegisterAnswer> {
    if (known !== undefined) {
      const command = { kind: 'node.expire', id: known.id, isLogout: true } as const;
      const done = await this.#options.journal.execute(command, actorOf(machineKey));
      if (!done.ok) return { ...nobody, Error: done.error.message };
    }
    return { ...nobody, NodeKeyExpired: true };
  }

  async #joinByKey(join: Join, authKey: string): Promise<RegisterAnswer> {
    const digest = this.#options.sha256Hex(authKey);
    const tags = this.#allowedTags(join, this.#ownerOfKey(digest));
    if (!tags.ok) return { ...nobody, Error: tags.error };
    const actor = actorOf(join.machineKey);
    const done = await this.#register(join, { by: 'key', digest }, tags.value, actor);
    return done.ok ? this.#standing(done.value) : { ...nobody, Error: done.error.message };
  }

  #ownerOfKey(digest: string): TagOwner {
    const key = this.#network().preAuthKeysByDigest.get(digest);
    if (key === undefined) return { kind: 'nobody' };
    return key.userId === undefined
      ? { kind: 'tags', tags: key.tags }
      : { kind: 'user', id: key.userId };
  }

  /** The tags that a machine asks for, if all of them may be given to it. */
  #allowedTags({ hostinfo }: Join, owner: TagOwner): Result<readonly string[], string> {
    const asked = [...new Set(hostinfo?.requestTags ?? [])];
    const { program } = this.#options.view.tailnet;
    const refused = asked.filter((tag) => {
      if (owner.kind === 'user') return !mayUserAssignTag(program, owner.id, tag);
      return owner.kind === 'nobody' || !mayTagsAssignTag(program, owner.tags, tag);
    });
    if (refused.length === 0) return ok(asked);
    return err(`requested tags [${refused.join(' ')}] are invalid or not permitted`);
  }

  async #rotate(join: Join, oldNodeKey: string | undefined): Promise<RegisterAnswer | undefined> {
    const old = oldNodeKey === undefined ? undefined : this.#network().nodesByKey.get(oldNodeKey);
    if (old === undefined || oldNodeKey === undefined) return undefined;
    if (old.machineKey !== join.machineKey || isNodeExpired(old, this.#options.nowMs())) {
      return undefined;
    }
    const admission = { by: 'old-key', oldNodeKey } as const;
    const done = await this.#register(join, admission, [], actorOf(join.machineKey));
    return done.ok ? this.#standing(done.value) : { ...nobody, Error: done.error.message };
  }

  async #interactive(join: Join, followUp: string, signal: AbortSignal): Promise<RegisterAnswer> {
    const { pending, settings, nowMs, log } = this.#options;
    const id = followUp.split('/').at(-1) ?? '';
    const followed = pending.get(id, nowMs());
    if (followed?.machineKey === join.machineKey && followed.nodeKey === join.nodeKey) {
      await pending.wait(id, signal);
      const known = this.#network().nodesByKey.get(join.nodeKey);
      if (known?.machineKey === join.machineKey && !isNodeExpired(known, nowMs())) {
        return this.#standing(known);
      }
    }
    const opened = pending.open(join, nowMs());
    const url = `${settings.url}/register/${opened.id}`;
    log.info({ url, hostname: join.hostinfo?.hostname ?? '' }, 'a machine waits for a sign-in');
    return { ...nobody, AuthURL: url };
  }

  async #register(
    join: Join,
    admission: Admission,
    tags: readonly string[],
    actor: string,
  ): Promise<Result<NetworkNode, Refusal>> {
    const { journal, settings, log } = this.#options;
    const { machineKey, nodeKey, hostinfo, ephemeral } = join;
    const { ipv4Pool, ipv6Pool, keyLifeMs, needsApproval } = settings;
    const done = await journal.execute(
      {
        kind: 'node.register',
        machineKey,
        nodeKey,
        admission,
        hostname: hostinfo?.hostname ?? '',
        tags,
        ephemeral,
        ipv4Pool,
        ipv6Pool,
        needsApproval,
        ...(keyLifeMs === undefined ? {} : { keyLifeMs }),
      },
      actor,
    );
    if (!done.ok) {
      log.warn(
        { machine_key: machineKey, problem: done.error.message },
        'a machine was not let in',
      );
      return done;
    }
    const node = this.#network().nodesByKey.get(nodeKey);
    if (node === undefined) return refuse('not_found', 'The node is gone again.');
    if (done.value.events.length > 0) {
      log.info({ node: node.id, name: node.name, addresses: node.addresses }, 'a machine joined');
    }
    return ok(node);
  }

  #standing(node: NetworkNode): RegisterAnswer {
    const { nowMs } = this.#options;
    const user = node.userId === undefined ? undefined : this.#network().usersById.get(node.userId);
    const profile = profileOf(node, user);
    return {
      ...nobody,
      User: { ID: profile.ID, DisplayName: profile.DisplayName },
      Login: { ...profile, Provider: 'postern' },
      NodeKeyExpired: isNodeExpired(node, nowMs()),
      MachineAuthorized: node.approved,
    };
  }

  #network(): NetworkState {
    return this.#options.journal.snapshot().network;
  }
}

type TagOwner =
  | { readonly kind: 'user'; readonly id: string }
  | { readonly kind: 'tags'; readonly tags: readonly string[] }
  | { readonly kind: 'nobody' };

export function actorOf(machineKey: string): string {
  return `machine:${machineKey}`;
}
