import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { NetworkNode } from '@postern/core/state';
import { currentPolicy, isNodeExpired, noPolicy } from '@postern/core/state';
import type { Control, Requester } from '../control.ts';
import type { NetworkDesk } from '../network/index.ts';
import {
  approveNode,
  changeNode,
  createPreAuthKey,
  deleteNode,
  listNodes,
  showNode,
} from '../network/index.ts';
import type { Device, EngineCapability, NetworkEngine } from './ports.ts';

const capabilities: ReadonlySet<EngineCapability> = new Set<EngineCapability>([
  'approval',
  'ephemeral',
  'key-expiry',
]);

/** The engine of this process, behind the port that all engines have. Every change has `by` in the journal. */
export function embeddedEngine(control: Control, desk: NetworkDesk, by: Requester): NetworkEngine {
  const done = async (
    changing: Promise<Result<unknown, Refusal>>,
  ): Promise<Result<void, Refusal>> => {
    const result = await changing;
    return result.ok ? ok(undefined) : result;
  };
  const dnsOf = () => control.snapshot().network.dns;
  return {
    kind: 'embedded',
    url: desk.url,
    capabilities,
    createAuthKey: async ({ preauthorized, ...request }) => {
      const made = await createPreAuthKey(control, { ...request, preApproved: preauthorized }, by);
      if (!made.ok) return made;
      const { key, secret } = made.value;
      return ok({ id: key.id, key: secret, expiresAtMs: key.expiresAtMs });
    },
    listDevices: () =>
      Promise.resolve(ok(listNodes(control).map((node) => deviceOf(control, desk, node)))),
    getDevice: (id) => {
      const node = showNode(control, id);
      return Promise.resolve(node.ok ? ok(deviceOf(control, desk, node.value)) : node);
    },
    deleteDevice: (id) => done(deleteNode(control, id, by)),
    setTags: (id, tags) => done(changeNode(control, { kind: 'node.tag', id, tags }, by)),
    authorize: (id) => done(approveNode(control, desk, { id, as: undefined }, by)),
    setRoutes: (id, approved) =>
      done(changeNode(control, { kind: 'node.routes', id, approved }, by)),
    expireKey: (id) => done(changeNode(control, { kind: 'node.expire', id, isLogout: false }, by)),
    getPolicy: () => {
      const policy = currentPolicy(control.snapshot().policy);
      return Promise.resolve(ok({ text: policy?.text ?? '', etag: policy?.digest ?? noPolicy }));
    },
    setPolicy: () => Promise.resolve(refuse('conflict', planned)),
    checkPolicy: () => Promise.resolve(refuse('conflict', planned)),
    getDns: () => {
      const { magicDns, nameservers, searchDomains } = dnsOf();
      return Promise.resolve(ok({ magicDns, nameservers, searchDomains }));
    },
  };
}

/** A change of the policy has a risk, which a plan shows before it is applied. */
const planned =
  'The policy of the embedded engine is changed by `postern policy plan` and `postern policy apply`.';

function deviceOf(control: Control, desk: NetworkDesk, node: NetworkNode): Device {
  const facts = desk.facts(node.id);
  const { usersById } = control.snapshot().network;
  const user = node.userId === undefined ? undefined : usersById.get(node.userId)?.login;
  const advertised = facts?.advertisedRoutes ?? [];
  const lastSeenMs = facts?.lastSeenMs;
  return {
    id: node.id,
    name: node.name,
    hostname: facts?.hostname ?? node.name,
    addresses: node.addresses,
    ...(user === undefined ? {} : { user }),
    tags: node.tags,
    online: facts?.online === true && !isNodeExpired(node, control.system.nowMs()),
    authorized: node.approved,
    nodeKey: node.nodeKey,
    createdAtMs: node.createdAtMs,
    ...(node.keyExpiresAtMs === undefined ? {} : { expiresAtMs: node.keyExpiresAtMs }),
    ...(lastSeenMs === undefined ? {} : { lastSeenMs }),
    enabledRoutes: node.approvedRoutes.filter((route) => advertised.includes(route)),
    advertisedRoutes: advertised,
  };
}
