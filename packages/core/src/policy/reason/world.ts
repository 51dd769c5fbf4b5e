/**
 * The world that is reasoned about: the tailnet as it is, and one machine more for every kind of machine that a
 * policy could mean but that does not exist yet. Without those, a grant to a tag with no device would change
 * nothing that anyone could see.
 */
import {
  allV4,
  allV6,
  type IpSet,
  ipSetOf,
  ipSetOfPrefixes,
  isExitRoute,
  type Prefix,
} from '../../base/netip/index.ts';
import { domainOf } from '../compile/directory.ts';
import type { Inventory, InventoryNode, InventoryUser } from '../compile/inventory.ts';
import type { PostureAttributes } from '../compile/posture.ts';
import { tailnetSet } from '../compile/ranges.ts';
import type { PolicyFile } from '../file/model.ts';
import { type RoleName, roleAutogroups, type Selector } from '../file/selector.ts';
import { postureClasses } from './posture-classes.ts';
import { addrOfOrdinal } from './world-addresses.ts';

/** Imagined machines. Beyond it they are made for one posture only, and the world is not complete. */
export const archetypesMax = 20_000;
/** Routes given to imagined routers. */
const archetypeRoutesMax = 2_000;

export interface World {
  readonly inventory: Inventory;
  /** False where a limit cut off postures, routes or machines: then differences may be missed. */
  readonly isComplete: boolean;
  /** Ids of imagined machines, with what they stand for. */
  readonly archetypes: ReadonlyMap<string, string>;
  /** Imagined machines that differ from another one only in posture: as targets they would say nothing new. */
  readonly sourcesOnly: ReadonlySet<string>;
}

/** The world in which the policies can be told apart. Both sides of a comparison need the same one. */
export function worldOf(inventory: Inventory, files: readonly PolicyFile[]): World {
  const builder = new WorldBuilder(inventory, files);
  builder.addPeople();
  builder.addMachines();
  return builder.build();
}

/** The tailnet as it is and nothing else. */
export function actualWorld(inventory: Inventory): World {
  return { inventory, isComplete: true, archetypes: new Map(), sourcesOnly: new Set() };
}

class WorldBuilder {
  readonly #inventory: Inventory;
  readonly #files: readonly PolicyFile[];
  readonly #users: InventoryUser[] = [];
  readonly #nodes: InventoryNode[] = [];
  readonly #groups: Map<string, readonly string[]>;
  readonly #labels = new Map<string, string>();
  readonly #sourcesOnly = new Set<string>();
  readonly #taken: ReadonlySet<bigint>;
  readonly #names: MentionedNames;
  #assignments: readonly PostureAttributes[];
  #isComplete: boolean;
  #ordinal = 0;

  constructor(inventory: Inventory, files: readonly PolicyFile[]) {
    this.#inventory = inventory;
    this.#files = files;
    this.#groups = new Map(inventory.groups);
    this.#taken = new Set(
      inventory.nodes.flatMap((node) => node.addresses.map((addr) => addr.key)),
    );
    this.#names = mentionedNames(inventory, files);
    const classes = postureClasses(files);
    this.#assignments = classes.assignments;
    this.#isComplete = classes.isComplete;
    const kinds = inventory.users.length + this.#names.logins.size + this.#names.tags.size;
    if (kinds * this.#assignments.length > archetypesMax) {
      this.#assignments = this.#assignments.slice(0, 1);
      this.#isComplete = false;
    }
  }

  build(): World {
    const { users, nodes } = this.#inventory;
    const inventory = {
      ...this.#inventory,
      users: [...users, ...this.#users],
      nodes: [...nodes, ...this.#nodes],
      groups: this.#groups,
    };
    return {
      inventory,
      isComplete: this.#isComplete,
      archetypes: this.#labels,
      sourcesOnly: this.#sourcesOnly,
    };
  }

  addPeople(): void {
    for (const user of this.#inventory.users) this.#addDevices(user, `a device of ${user.login}`);
    const known = new Set(this.#inventory.users.map((user) => user.login.toLowerCase()));
    for (const login of this.#names.logins) {
      if (!known.has(login.toLowerCase())) this.#addUser(login, [], `a device of ${login}`);
    }
    const domains = this.#names.domains;
    for (const domain of domains) {
      this.#addUser(`someone@${domain}`, [], `a device of any member in ${domain}`);
    }
    const [home = 'example.invalid'] = domains;
    for (const role of roleAutogroups) {
      this.#addUser(`some-${role}@${home}`, [role], `a device of any ${role}`);
    }
    for (const group of this.#names.syncedGroups) {
      if (this.#groups.has(group)) continue;
      const login = `some-${group.slice('group:'.length).replaceAll('@', '.')}@${home}`;
      this.#groups.set(group, [login]);
      this.#addUser(login, [], `a device of any member of ${group}`);
    }
    const shared = {
      id: 'archetype:shared',
      login: 'guest@shared.invalid',
      roles: [],
      isShared: true,
    };
    this.#users.push(shared);
    this.#addDevices(shared, 'a device shared into the tailnet');
  }

  addMachines(): void {
    const routes = this.#mentionedRoutes();
    const exits = [allV4, allV6];
    for (const tag of this.#names.tags) {
      const own = this.#names.viaTags.has(tag) ? [...routes, ...exits] : [];
      this.#addVariants(`a device with ${tag}`, undefined, [tag], own);
    }
    const none: PostureAttributes = new Map();
    this.#addNode('a device with another tag', undefined, ['tag:archetype-other'], [], none);
    if (routes.length > 0) {
      this.#addNode('a subnet router', undefined, ['tag:archetype-router'], routes, none);
    }
    this.#addNode('an exit node', undefined, ['tag:archetype-exit'], exits, none);
  }

  #addUser(login: string, roles: readonly RoleName[], label: string): void {
    const user = { id: `archetype:${login}`, login, roles };
    this.#users.push(user);
    this.#addDevices(user, label);
  }

  #addDevices(user: InventoryUser, label: string): void {
    this.#addVariants(label, user.id, [], []);
  }

  /** One machine for each way to stand to the postures. Only the first is also a target and a router. */
  #addVariants(
    label: string,
    userId: string | undefined,
    tags: readonly string[],
    routes: readonly Prefix[],
  ): void {
    this.#assignments.forEach((attributes, i) => {
      this.#addNode(label, userId, tags, i === 0 ? routes : [], attributes);
      if (i > 0) this.#sourcesOnly.add(`archetype:${this.#nodes.length - 1}`);
    });
  }

  #addNode(
    label: string,
    userId: string | undefined,
    tags: readonly string[],
    routes: readonly Prefix[],
    postureAttributes: PostureAttributes,
  ): void {
    const id = `archetype:${this.#nodes.length}`;
    const shown = [...postureAttributes].map(([key, value]) => `${key}=${String(value)}`);
    this.#labels.set(id, shown.length === 0 ? label : `${label} (${shown.join(', ')})`);
    this.#nodes.push({
      id,
      hostname: id,
      addresses: this.#freshAddresses(),
      userId,
      tags,
      advertisedRoutes: routes,
      approvedRoutes: routes,
      postureAttributes,
    });
  }

  #freshAddresses(): InventoryNode['addresses'] {
    for (;;) {
      const addresses = addrOfOrdinal(this.#ordinal);
      this.#ordinal += 1;
      if (addresses.every((addr) => !this.#taken.has(addr.key))) return addresses;
    }
  }

  /** Prefixes outside the tailnet that some rule names as a destination. */
  #mentionedRoutes(): readonly Prefix[] {
    const sets = this.#files.flatMap((file) => [
      ...[...file.hosts.values()].map((host) => ipSetOfPrefixes([host.prefix])),
      ...[...(file.grants ?? []), ...(file.acls ?? [])].flatMap((rule) =>
        rule.dst.flatMap((dst) => (dst.kind === 'prefix' ? [ipSetOfPrefixes([dst.prefix])] : [])),
      ),
      ...[...file.ipsets.values()].flatMap((ipset) =>
        ipset.steps.flatMap(({ target }) =>
          target.kind === 'range' ? [ipSetOf([target.range])] : [],
        ),
      ),
    ]);
    const prefixes = new Map<string, Prefix>();
    for (const set of sets) addRoutes(prefixes, set.subtract(tailnetSet));
    if (prefixes.size > archetypeRoutesMax) this.#isComplete = false;
    return [...prefixes.values()].slice(0, archetypeRoutesMax);
  }
}

function addRoutes(prefixes: Map<string, Prefix>, set: IpSet): void {
  for (const prefix of set.toPrefixes()) {
    if (!isExitRoute(prefix)) prefixes.set(`${prefix.addr.key}/${prefix.bits}`, prefix);
  }
}

interface MentionedNames {
  readonly logins: ReadonlySet<string>;
  readonly tags: ReadonlySet<string>;
  readonly viaTags: ReadonlySet<string>;
  readonly domains: ReadonlySet<string>;
  readonly syncedGroups: ReadonlySet<string>;
}

function mentionedNames(inventory: Inventory, files: readonly PolicyFile[]): MentionedNames {
  const logins = new Set<string>();
  const tags = new Set(inventory.nodes.flatMap((node) => node.tags));
  const viaTags = new Set<string>();
  const members = inventory.users.filter((user) => user.isShared !== true);
  const domains = new Set(members.map((user) => domainOf(user.login)));
  const syncedGroups = new Set<string>();
  for (const file of files) {
    for (const group of file.groups.values())
      for (const { text } of group.members) logins.add(text);
    for (const tag of file.tagOwners.keys()) tags.add(tag);
    for (const rule of [...(file.grants ?? []), ...(file.acls ?? [])]) {
      for (const { text } of rule.via) viaTags.add(text);
    }
    for (const selector of selectorsOf(file)) {
      if (selector.kind === 'user') logins.add(selector.name);
      if (selector.kind === 'tag') tags.add(selector.name);
      if (selector.kind === 'domain') domains.add(selector.domain);
      if (selector.kind === 'group' && selector.name.includes('@')) syncedGroups.add(selector.name);
    }
  }
  return { logins, tags, viaTags, domains, syncedGroups };
}

function selectorsOf(file: PolicyFile): readonly Selector[] {
  const rules = [...(file.grants ?? []), ...(file.acls ?? []), ...file.ssh];
  return [
    ...rules.flatMap((rule) => [...rule.src, ...rule.dst]),
    ...[...file.tagOwners.values()].flatMap((owner) => owner.owners),
    ...file.autoApprovers.exitNode,
    ...file.autoApprovers.routes.flatMap((route) => route.approvers),
  ];
}
