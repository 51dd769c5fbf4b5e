import { describe, expect, test } from 'vitest';
import { coversNetworkScope, widening } from './scope.ts';

const wanted = (network: readonly string[]) => ({
  scope: { network, admin: false },
  boundTo: [],
});

describe('scopes of the network API', () => {
  test.each([
    [['all'], 'policy_file', true],
    [['all'], 'policy_file:read', true],
    [['all:read'], 'policy_file:read', true],
    [['all:read'], 'policy_file', false],
    [['devices:core'], 'devices:core:read', true],
    [['devices:core:read'], 'devices:core', false],
    [['devices:core'], 'devices:routes', false],
    [['dns'], 'dns:read', true],
    [['dns'], 'users:read', false],
    [['all'], 'tag:ci', false],
    [['all', 'tag:ci'], 'tag:ci', true],
    [[], 'dns:read', false],
  ] as const)('%j takes in %s: %s', (held, scope, is) => {
    expect(coversNetworkScope(held, scope)).toBe(is);
  });

  test('an OAuth client makes none that is wider, in scopes and in tags', () => {
    const maker = { scope: { network: ['auth_keys', 'oauth_keys', 'tag:ci'], admin: false } };
    expect(widening(wanted(['auth_keys', 'tag:ci']), maker)).toBeUndefined();
    expect(widening(wanted(['auth_keys:read']), maker)).toBeUndefined();
    expect(widening(wanted(['policy_file']), maker)?.code).toBe('access_denied');
    expect(widening(wanted(['auth_keys', 'tag:gpu']), maker)?.param).toBe('scope.network');
  });

  test('a key that does not administer makes no OAuth client, one that does makes any', () => {
    expect(widening(wanted(['dns:read']), { scope: { admin: false } })?.param).toBe(
      'scope.network',
    );
    expect(widening(wanted(['dns:read']), { scope: {} })?.param).toBe('scope.network');
    expect(widening(wanted(['all', 'tag:x']), { scope: { admin: true } })).toBeUndefined();
    expect(widening(wanted(['all']), {})).toBeUndefined();
  });
});
