/** Which selectors of a policy a person or a machine satisfies, and which tags somebody may give. */
import { roleAutogroups } from '../file/selector.ts';
import { type Directory, domainOf } from './directory.ts';
import type { InventoryUser } from './inventory.ts';
import type { Program } from './program.ts';

/** Whom the network says a caller is: a machine with tags, or one of a person. */
export type NetworkIdentity =
  | { readonly kind: 'tagged'; readonly tags: readonly string[] }
  | { readonly kind: 'user'; readonly login: string };

/**
 * Selectors by name (`alice@example.com`, `group:dev`, `tag:ci`, `autogroup:member`): what a principal of the
 * network carries. A login that the inventory does not know satisfies only itself and the groups that name it.
 */
export function selectorsOf(program: Program, identity: NetworkIdentity): readonly string[] {
  if (identity.kind === 'tagged') return ['autogroup:tagged', ...identity.tags];
  const { file, directory } = program;
  const login = identity.login.toLowerCase();
  const user = directory.byLogin(login);
  const groups = groupNames(program).filter((name) =>
    directory.groupLogins(name, file).some((member) => member.toLowerCase() === login),
  );
  return [login, ...groups, ...(user === undefined ? [] : autogroupsOf(user))];
}

function autogroupsOf(user: InventoryUser): readonly string[] {
  if (user.isShared === true) return ['autogroup:shared'];
  const roles = roleAutogroups.filter((role) => user.roles.includes(role));
  return [
    'autogroup:member',
    `user:*@${domainOf(user.login).toLowerCase()}`,
    ...roles.map((role) => `autogroup:${role}`),
  ];
}

function groupNames({ file, directory }: Program): readonly string[] {
  return [...new Set([...file.groups.keys(), ...directory.groupNames])];
}

/** Roles that may give every tag of the file. */
const tagAdminRoles = ['owner', 'admin', 'network-admin'] as const;

/** Whether a person may give a machine this tag. Tags that the file does not define nobody may give. */
export function mayUserAssignTag(program: Program, userId: string, tag: string): boolean {
  const { file, directory } = program;
  const owner = file.tagOwners.get(tag);
  const user = directory.user(userId);
  if (owner === undefined || user === undefined || user.isShared === true) return false;
  if (tagAdminRoles.some((role) => user.roles.includes(role))) return true;
  return owner.owners.some(
    (selector) => selector.kind !== 'tag' && holds(directory, program, selector, userId),
  );
}

function holds(
  directory: Directory,
  program: Program,
  selector: Parameters<Directory['keysOf']>[0],
  userId: string,
): boolean {
  const keys = directory.keysOf(selector, program.file) ?? [];
  return keys.includes(`user:${userId}`) || keys.includes('member');
}

/** Whether a machine with `tags` may give `tag`: one of its tags owns it, or it has it itself. */
export function mayTagsAssignTag(program: Program, tags: readonly string[], tag: string): boolean {
  const owner = program.file.tagOwners.get(tag);
  if (owner === undefined) return false;
  return (
    tags.includes(tag) ||
    owner.owners.some((selector) => selector.kind === 'tag' && tags.includes(selector.name))
  );
}
