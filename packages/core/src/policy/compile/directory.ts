/** People: logins, roles, groups and domains. Everything of a selector that does not depend on nodes. */
import type { PolicyFile } from '../file/model.ts';
import type { Selector } from '../file/selector.ts';
import type { Inventory, InventoryUser } from './inventory.ts';

export class Directory {
  readonly #users: ReadonlyMap<string, InventoryUser>;
  readonly #byLogin: ReadonlyMap<string, InventoryUser>;
  readonly #groups: ReadonlyMap<string, readonly string[]>;
  /** Login domains that belong to this tailnet, as they are written: of invited people they do not. */
  readonly domains: ReadonlySet<string>;

  constructor(inventory: Inventory) {
    this.#users = new Map(inventory.users.map((user) => [user.id, user]));
    this.#byLogin = new Map(inventory.users.map((user) => [user.login.toLowerCase(), user]));
    this.#groups = inventory.groups ?? new Map();
    this.domains = new Set(inventory.domains ?? domainsOfUsers(inventory.users));
  }

  isShared(userId: string): boolean {
    return this.#users.get(userId)?.isShared === true;
  }

  user(id: string): InventoryUser | undefined {
    return this.#users.get(id);
  }

  byLogin(login: string): InventoryUser | undefined {
    return this.#byLogin.get(login.toLowerCase());
  }

  /** Users in the order of the inventory, which is the order in which SSH rules name them. */
  get users(): Iterable<InventoryUser> {
    return this.#users.values();
  }

  /** Names of the groups of the identity provider. */
  get groupNames(): Iterable<string> {
    return this.#groups.keys();
  }

  /** Logins of a group: those of the file and those of the identity provider. */
  groupLogins(name: string, file: PolicyFile): readonly string[] {
    const members = file.groups.get(name)?.members.map((member) => member.text) ?? [];
    return [...members, ...(this.#groups.get(name) ?? [])];
  }

  /** The keys of node sets whose union a selector of people or tags means; undefined for other selectors. */
  keysOf(selector: Selector, file: PolicyFile): readonly string[] | undefined {
    switch (selector.kind) {
      case 'tag':
        return [selector.name];
      case 'user':
        return this.#userKeys([selector.name]);
      case 'group':
        return this.#userKeys(this.groupLogins(selector.name, file));
      case 'domain':
        return this.#keysWhere((user) => domainOf(user.login) === selector.domain);
      case 'autogroup':
        return this.#autogroupKeys(selector.name);
      case 'any':
      case 'host':
      case 'ipset':
      case 'prefix':
      case 'service':
        return undefined;
    }
  }

  #autogroupKeys(name: (Selector & { kind: 'autogroup' })['name']): readonly string[] | undefined {
    switch (name) {
      case 'member':
      case 'tagged':
      case 'shared':
        return [name];
      case 'self':
      case 'internet':
      case 'danger-all':
      case 'nonroot':
        return undefined;
      case 'admin':
      case 'auditor':
      case 'billing-admin':
      case 'it-admin':
      case 'network-admin':
      case 'owner':
        return this.#keysWhere((user) => user.roles.includes(name));
    }
  }

  #userKeys(logins: readonly string[]): readonly string[] {
    const keys = new Set<string>();
    for (const login of logins) {
      const user = this.byLogin(login);
      if (user !== undefined) keys.add(`user:${user.id}`);
    }
    return [...keys];
  }

  #keysWhere(test: (user: InventoryUser) => boolean): readonly string[] {
    const keys: string[] = [];
    for (const user of this.#users.values()) {
      if (user.isShared !== true && test(user)) keys.push(`user:${user.id}`);
    }
    return keys;
  }
}

function domainsOfUsers(users: readonly InventoryUser[]): readonly string[] {
  const members = users.filter((user) => user.isShared !== true);
  const owners = members.filter((user) => user.roles.includes('owner'));
  return (owners.length > 0 ? owners : members).map((user) => domainOf(user.login));
}

export function domainOf(login: string): string {
  return login.slice(login.lastIndexOf('@') + 1);
}

/** The part before the last `@`. */
export function localPartOf(login: string): string {
  const at = login.lastIndexOf('@');
  return at < 0 ? login : login.slice(0, at);
}
