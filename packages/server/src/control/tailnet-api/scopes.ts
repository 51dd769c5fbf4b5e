import type { KeyRecord, State } from '@postern/core/state';
import type { OperationName } from '../api/operation.ts';
import type { TailnetApiOptions } from './ports.ts';

/** Scopes, and the operation of the admin API that stands for each. */
const operationOf = {
  'devices:core:read': 'node.list',
  'devices:core': 'node.tag',
  'devices:routes:read': 'node.show',
  'devices:routes': 'node.routes',
  'auth_keys:read': 'preauthkey.list',
  auth_keys: 'preauthkey.create',
  'oauth_keys:read': 'key.list',
  oauth_keys: 'key.create',
  'policy_file:read': 'policy.show',
  policy_file: 'policy.apply',
  'dns:read': 'dns.show',
  dns: 'dns.set',
  'users:read': 'user.list',
  users: 'user.role',
  'feature_settings:read': 'config.show',
  feature_settings: 'config.reload',
} as const satisfies Readonly<Record<string, OperationName>>;

/** The names of scopes that mean something here; a client that asks for others would get nothing by them. */
export const knownScopes: ReadonlySet<string> = new Set([
  'all',
  'all:read',
  ...Object.keys(operationOf),
]);

const everything: readonly string[] = Object.freeze(['all']);
/** A chain of makers is as long as somebody took the trouble; longer ones are nobody's. */
const makersMax = 16;

/**
 * What a key may do here at most: everything where it goes back to the owner of the control socket, who may do
 * everything anyway; else what the policy lets it do. Whoever may make keys can so give no more than the policy gives.
 */
export function ceilingOf(
  key: KeyRecord,
  { control, permits }: Pick<TailnetApiOptions, 'control' | 'permits'>,
): readonly string[] {
  if (isOwners(key, control.snapshot())) return everything;
  return Object.entries(operationOf).flatMap(([scope, operation]) =>
    permits(key, operation) ? [scope] : [],
  );
}

function isOwners(key: KeyRecord, { keysById }: State): boolean {
  let maker = key.createdBy;
  for (let i = 0; i < makersMax; i += 1) {
    if (maker.startsWith('local:')) return true;
    const made = maker.startsWith('key:') ? keysById.get(maker.slice('key:'.length)) : undefined;
    if (made === undefined) return false;
    maker = made.createdBy;
  }
  return false;
}
