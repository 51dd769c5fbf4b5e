import { describe, expect, test } from 'vitest';
import { parseAddr } from '../../base/netip/index.ts';
import { tailnetUser } from '../../identity/index.ts';
import type { Inventory } from '../compile/inventory.ts';
import { parsePolicyValue } from '../file/index.ts';
import { GatewayAccess } from './gateway-access.ts';

const alice = tailnetUser('alice@example.com', 'Alice');
const ask = {
  model: 'instant',
  dialect: 'openai-chat',
  maxOutputTokens: undefined,
  attested: false,
} as const;

function addr(text: string) {
  const parsed = parseAddr(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

function network(tags: readonly string[]): Inventory {
  const machine = {
    hostname: 'ai',
    userId: undefined,
    advertisedRoutes: [],
    approvedRoutes: [],
    postureAttributes: new Map(),
  };
  return {
    users: [{ id: 'u1', login: 'alice@example.com', roles: [] }],
    nodes: [{ ...machine, id: 'n1', tags, addresses: [addr('100.64.0.1')] }],
  };
}

function isAllowed(grant: { src: string[]; dst: string[] }, inventory: Inventory): boolean {
  const { file, refusal } = parsePolicyValue({
    tagOwners: { 'tag:gateway': [], 'tag:db': [] },
    grants: [{ ...grant, app: { 'postern.dev/cap/ai': [{ models: ['**'] }] } }],
  });
  expect(refusal).toBeUndefined();
  const access = new GatewayAccess(file, { revision: 'r', point: undefined, inventory });
  return access.accessOf(alice).decideAi(ask).allowed;
}

describe('on a network, a grant means the gateway only where it names it', () => {
  const here = network(['tag:gateway']);
  test.each([
    [['tag:gateway'], true],
    [['*'], true],
    [['100.64.0.1'], true],
    [['tag:db'], false],
    [['100.64.0.9'], false],
  ])('%j: %j', (dst, allowed) => {
    expect(isAllowed({ src: ['alice@example.com'], dst }, here)).toBe(allowed);
  });

  test('before the gateway has joined, every destination is it', () => {
    const none = network(['tag:db']);
    expect(isAllowed({ src: ['alice@example.com'], dst: ['tag:db'] }, none)).toBe(true);
  });

  test('who is a member, the network knows', () => {
    const grant = { src: ['autogroup:member'], dst: ['*'] };
    expect(isAllowed(grant, here)).toBe(true);
    expect(isAllowed(grant, { users: [], nodes: [] })).toBe(false);
  });
});
