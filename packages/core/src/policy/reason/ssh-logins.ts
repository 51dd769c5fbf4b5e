/** Which local users a machine may log in as over SSH, in one canonical form. */
import { type Directory, localPartOf } from '../compile/directory.ts';
import type { IndexedNode } from '../compile/node-index.ts';
import type { SshUser } from '../file/model.ts';

export interface SshEffect {
  readonly action: 'accept' | 'check';
  readonly users: readonly SshUser[];
  /** Whether the source's owner is in a domain for which the rule names its local part. */
  readonly domains: readonly string[];
}

/**
 * Local user to action. `*` stands for every user but root; a name is listed only where its action differs from
 * that of `*`; `localpart:*@domain` is the name of the source's own login.
 */
export type SshLogins = ReadonlyMap<string, 'accept' | 'check'>;

/** A check beats an accept, since servers are given the checks first. */
export function sshLoginsOf(effects: readonly SshEffect[]): SshLogins {
  const logins = new Map<string, 'accept' | 'check'>();
  if (effects.length === 0) return logins;
  const give = (name: string, action: 'accept' | 'check'): void => {
    if (logins.get(name) !== 'check') logins.set(name, action);
  };
  for (const { action, users, domains } of effects) {
    for (const user of users) {
      if (user.kind === 'root') give('root', action);
      else if (user.kind === 'nonroot') give('*', action);
      else if (user.kind === 'literal') give(user.name, action);
      else if (domains.includes(user.domain)) give(user.text, action);
    }
  }
  const others = logins.get('*');
  for (const [name, action] of logins) {
    if (name === '*' || name === 'root') continue;
    const effective = action === 'check' || others === 'check' ? 'check' : action;
    if (effective === others) logins.delete(name);
    else logins.set(name, effective);
  }
  return new Map([...logins].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function formatLogins(logins: SshLogins): readonly string[] {
  return [...logins].map(([name, action]) => `${action} ${name}`);
}

/** What happens to a login as `name`; undefined where it is refused. */
export function effectiveLogin(logins: SshLogins, name: string): 'accept' | 'check' | undefined {
  return logins.get(name) ?? (name === 'root' ? undefined : logins.get('*'));
}

/** Every name that either set mentions. */
export function loginNames(a: SshLogins, b: SshLogins): readonly string[] {
  return [...new Set([...a.keys(), ...b.keys()])].sort();
}

/** A login without a check is more than one with it. */
export function moreThan(
  action: 'accept' | 'check',
  other: 'accept' | 'check' | undefined,
): boolean {
  return other === undefined || (action === 'accept' && other === 'check');
}

/** A local user to try: the name itself, some name for `*`, the source's own for a local part. */
export function exampleLogin(
  name: string,
  source: IndexedNode | undefined,
  directory: Directory,
): string {
  if (name === '*') return 'somebody-else';
  if (!name.startsWith('localpart:')) return name;
  const owner = source?.ownerId === undefined ? undefined : directory.user(source.ownerId);
  return owner === undefined ? name : localPartOf(owner.login);
}
