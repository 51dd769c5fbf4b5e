/** Who may give which tags to machines, and with them everything that the tags may reach. */
import { Directory } from '../compile/index.ts';
import { domainOf } from '../compile/directory.ts';
import type { PolicyFile, Selector } from '../file/index.ts';
import type { Inventory } from '../compile/index.ts';
import type { ChangeContext } from './context.ts';
import { type ChangeFinding, placeOf } from './finding.ts';

/** Roles that may assign every tag, whatever the file says. */
const allTagRoles: ReadonlySet<string> = new Set(['owner', 'admin', 'network-admin']);

/** Tags that someone may give to a machine, through owners that are tags as well. */
export function mintableTags(
  file: PolicyFile,
  inventory: Inventory,
  words: readonly string[],
): ReadonlySet<string> {
  const directory = new Directory(inventory);
  const users = words.flatMap((word) => directory.byLogin(word) ?? []);
  const tags = new Set(words.filter((word) => word.startsWith('tag:')));
  if (users.some((user) => user.roles.some((role) => allTagRoles.has(role)))) {
    for (const tag of file.tagOwners.keys()) tags.add(tag);
    return tags;
  }
  const owns = (selector: Selector): boolean =>
    selector.kind === 'tag'
      ? tags.has(selector.name)
      : users.some((user) => names(directory, file, selector, user));
  for (let size = -1; size !== tags.size; ) {
    size = tags.size;
    for (const { tag, owners } of file.tagOwners.values()) if (owners.some(owns)) tags.add(tag);
  }
  return tags;
}

function names(
  directory: Directory,
  file: PolicyFile,
  selector: Selector,
  user: { readonly login: string; readonly roles: readonly string[]; readonly isShared?: boolean },
): boolean {
  const login = user.login.toLowerCase();
  if (selector.kind === 'user') return selector.name.toLowerCase() === login;
  if (selector.kind === 'group') {
    return directory
      .groupLogins(selector.name, file)
      .some((member) => member.toLowerCase() === login);
  }
  if (selector.kind === 'domain') {
    return user.isShared !== true && domainOf(user.login) === selector.domain;
  }
  if (selector.kind !== 'autogroup') return false;
  return selector.name === 'member' ? user.isShared !== true : user.roles.includes(selector.name);
}

/** Tags that get owners whom they did not have, named or by a wider group. */
export function tagOwnerFindings({
  before,
  after,
  request,
}: ChangeContext): readonly ChangeFinding[] {
  const findings: ChangeFinding[] = [];
  for (const { tag, owners, at } of after.tagOwners.values()) {
    const was = ownersOf(before, request.inventory, tag);
    const gained = [...ownersOf(after, request.inventory, tag)].filter((owner) => !was.has(owner));
    if (gained.length === 0 || before.tagOwners.get(tag) === undefined) continue;
    const texts = owners.map(({ text }) => text).join(', ');
    const message = `${gained.join(', ')} may give ${tag} to machines and did not before: its owners are now ${texts}`;
    findings.push({
      code: 'tag_owner',
      severity: 'hold',
      message,
      at: placeOf('candidate', at),
      witness: undefined,
    });
  }
  return findings;
}

/** Logins of everyone who directly owns the tag, tags that do, and selectors of people not here yet. */
function ownersOf(file: PolicyFile, inventory: Inventory, tag: string): ReadonlySet<string> {
  const directory = new Directory(inventory);
  const owners = new Set<string>();
  for (const selector of file.tagOwners.get(tag)?.owners ?? []) {
    if (selector.kind !== 'user' && selector.kind !== 'group') owners.add(selector.text);
    if (selector.kind === 'user') owners.add(selector.name);
    for (const user of inventory.users) {
      if (names(directory, file, selector, user)) owners.add(user.login);
    }
    if (selector.kind === 'group') {
      for (const login of directory.groupLogins(selector.name, file)) owners.add(login);
    }
  }
  return owners;
}
