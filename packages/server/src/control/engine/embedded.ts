import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { NetworkNode, NetworkUser, PreAuthKey } from '@postern/core/state';
import { currentPolicy, isNodeExpired, noPolicy } from '@postern/core/state';
import type { Control, Requester } from '../control.ts';
import type { NetworkDesk } from '../network/index.ts';
import {
  approveNode,
  changeNode,
  createPreAuthKey,
  deleteNode,
  listNodes,
  listPreAuthKeys,
  showNode,
} from '../network/index.ts';
import {
  applyPolicyText,
  checkPolicyText,
  type PlanRequest,
  planPolicy,
  type PolicyTools,
} from '../policy/index.ts';
import { cannot, capabilitiesOf } from './capabilities.ts';
import type { AuthKeyFacts, Device, EngineDns, EngineUser, NetworkEngine } from './ports.ts';

type Done = Promise<Result<void, Refusal>>;

/**
 * The engine of this process, behind the port that all engines have. Every change has `by` in the journal. Without
 * `policy` it reads policies and writes none.
 */
export function embeddedEngine(
  control: Control,
  desk: NetworkDesk,
  by: Requester,
  policy?: PolicyTools,
): NetworkEngine {
  return {
    kind: 'embedded',
    url: desk.url,
    capabilities: capabilitiesOf.embedded,
    look: () => Promise.resolve(ok({ version: '', api: 'journal' })),
    ...keysOf(control, by),
    ...devicesOf(control, desk, by),
    ...policyOf(control, by, policy),
    ...settingsOf(control, desk, by),
  };
}

async function done(changing: Promise<Result<unknown, Refusal>>): Done {
  const result = await changing;
  return result.ok ? ok(undefined) : result;
}

type Keys = 'createAuthKey' | 'listAuthKeys' | 'getAuthKey' | 'revokeAuthKey';

function keysOf(control: Control, by: Requester): Pick<NetworkEngine, Keys> {
  const facts = (key: PreAuthKey): AuthKeyFacts => keyFacts(control, key);
  return {
    createAuthKey: async ({ preauthorized, ...request }) => {
      const made = await createPreAuthKey(control, { ...request, preApproved: preauthorized }, by);
      if (!made.ok) return made;
      const { key, secret } = made.value;
      return ok({ id: key.id, key: secret, expiresAtMs: key.expiresAtMs });
    },
    listAuthKeys: () => Promise.resolve(ok(listPreAuthKeys(control).map(facts))),
    getAuthKey: (id) => {
      const key = control.snapshot().network.preAuthKeysById.get(id);
      return Promise.resolve(
        key === undefined ? refuse('not_found', `There is no key ${id}.`) : ok(facts(key)),
      );
    },
    revokeAuthKey: (id) => done(control.execute({ kind: 'preauthkey.revoke', id }, by)),
  };
}

function keyFacts(control: Control, key: PreAuthKey): AuthKeyFacts {
  const { userId, usedAtMs, revokedAtMs, description } = key;
  const login =
    userId === undefined ? undefined : control.snapshot().network.usersById.get(userId)?.login;
  const isOver = revokedAtMs !== undefined || control.system.nowMs() >= key.expiresAtMs;
  return {
    id: key.id,
    reusable: key.reusable,
    ephemeral: key.ephemeral,
    preauthorized: key.preApproved,
    tags: key.tags,
    ...(login === undefined ? {} : { login }),
    ...(description === undefined ? {} : { description }),
    createdAtMs: key.createdAtMs,
    expiresAtMs: key.expiresAtMs,
    invalid: isOver || (!key.reusable && usedAtMs !== undefined),
  };
}

type Devices =
  | 'listDevices'
  | 'getDevice'
  | 'deleteDevice'
  | 'setTags'
  | 'authorize'
  | 'rename'
  | 'setRoutes'
  | 'expireKey';

function devicesOf(
  control: Control,
  desk: NetworkDesk,
  by: Requester,
): Pick<NetworkEngine, Devices> {
  return {
    listDevices: () =>
      Promise.resolve(ok(listNodes(control).map((node) => deviceOf(control, desk, node)))),
    getDevice: (id) => {
      const node = showNode(control, id);
      return Promise.resolve(node.ok ? ok(deviceOf(control, desk, node.value)) : node);
    },
    deleteDevice: (id) => done(deleteNode(control, id, by)),
    setTags: (id, tags) => done(changeNode(control, { kind: 'node.tag', id, tags }, by)),
    authorize: (id) => done(approveNode(control, desk, { id, as: undefined }, by)),
    rename: (id, name) =>
      done(changeNode(control, { kind: 'node.rename', id, name, from: 'chosen' }, by)),
    setRoutes: (id, approved) =>
      done(changeNode(control, { kind: 'node.routes', id, approved }, by)),
    expireKey: (id) => done(changeNode(control, { kind: 'node.expire', id, isLogout: false }, by)),
  };
}

function deviceOf(control: Control, desk: NetworkDesk, node: NetworkNode): Device {
  const facts = desk.facts(node.id);
  const { usersById } = control.snapshot().network;
  const user = node.userId === undefined ? undefined : usersById.get(node.userId)?.login;
  const lastSeenMs = facts?.lastSeenMs;
  return {
    id: node.id,
    name: node.name,
    fqdn: `${node.name}.${desk.baseDomain}`,
    hostname: facts?.hostname ?? node.name,
    addresses: node.addresses,
    ...(user === undefined ? {} : { user }),
    tags: node.tags,
    online: facts?.online === true && !isNodeExpired(node, control.system.nowMs()),
    authorized: node.approved,
    ephemeral: node.ephemeral,
    ...(node.admittedBy === undefined ? {} : { authKeyId: node.admittedBy }),
    nodeKey: node.nodeKey,
    machineKey: node.machineKey,
    os: facts?.os ?? '',
    clientVersion: facts?.clientVersion ?? '',
    createdAtMs: node.createdAtMs,
    ...(node.keyExpiresAtMs === undefined ? {} : { expiresAtMs: node.keyExpiresAtMs }),
    ...(lastSeenMs === undefined ? {} : { lastSeenMs }),
    enabledRoutes: node.approvedRoutes,
    advertisedRoutes: facts?.advertisedRoutes ?? [],
  };
}

type Policies = 'getPolicy' | 'setPolicy' | 'checkPolicy' | 'previewPolicy';

function policyOf(
  control: Control,
  by: Requester,
  tools: PolicyTools | undefined,
): Pick<NetworkEngine, Policies> {
  const inForce = () => {
    const policy = currentPolicy(control.snapshot().policy);
    return { text: policy?.text ?? '', etag: policy?.digest ?? noPolicy };
  };
  return {
    getPolicy: () => Promise.resolve(ok(inForce())),
    setPolicy: async (text, ifMatch) => {
      if (tools === undefined) return cannot('embedded', 'policy-write', planned);
      const what = { text, base: ifMatch };
      const applied = await applyPolicyText(tools, { what }, by);
      if (applied.ok) return ok(inForce());
      const { code, param } = applied.error;
      return code === 'access_denied' && param === 'plan'
        ? waitForApproval(tools, what, by)
        : applied;
    },
    checkPolicy: async (text) => {
      if (tools === undefined) return cannot('embedded', 'policy-check', planned);
      const { findings } = await checkPolicyText(tools, text, 'embedded');
      return ok(
        findings
          .filter(({ severity }) => severity === 'error')
          .map(({ line, message }) => (line === 0 ? message : `line ${line}: ${message}`)),
      );
    },
    previewPolicy: async ({ text, ...question }) => {
      const { previewReport } = await import('@postern/core/policy/report');
      const inventory = tools?.ports.inventory() ?? { users: [], nodes: [] };
      const report = previewReport(text, inventory, question);
      return report.ok ? report : refuse('invalid_request', report.error);
    },
  };
}

/** What a second person has to look at waits as a plan; the same text is applied once it is approved. */
async function waitForApproval(
  tools: PolicyTools,
  what: PlanRequest,
  by: Requester,
): Promise<Result<never, Refusal>> {
  const made = await planPolicy(tools, what, by);
  if (!made.ok) return made;
  const id = made.value.plan?.id ?? '';
  const why = made.value.assessment.findings.find(({ severity }) => severity === 'hold')?.message;
  return refuse(
    'access_denied',
    `This change is of high risk${why === undefined ? '' : ` (${why})`}: a second person looks at it first (postern approve ${id}), then send it again.`,
    { param: 'plan' },
  );
}

const planned = 'It is changed by `postern policy plan` and `postern policy apply`.';

type Settings = 'getDns' | 'setDns' | 'listUsers' | 'getSettings' | 'setSettings';

function settingsOf(
  control: Control,
  desk: NetworkDesk,
  by: Requester,
): Pick<NetworkEngine, Settings> {
  return {
    getDns: () => {
      const { magicDns, nameservers, overrideLocal, searchDomains, routes } =
        control.snapshot().network.dns;
      const splitDns = Object.fromEntries(
        routes.map(({ domain, resolvers }) => [domain, resolvers]),
      );
      return Promise.resolve(ok({ magicDns, nameservers, overrideLocal, searchDomains, splitDns }));
    },
    setDns: (dns) => done(setDns(control, dns, by)),
    listUsers: () => {
      const { usersById } = control.snapshot().network;
      const counts = Map.groupBy(listNodes(control), ({ userId }) => userId);
      const users = [...usersById.values()].toSorted((a, b) => a.number - b.number);
      return Promise.resolve(
        ok(users.map((user) => userOf(user, counts.get(user.id)?.length ?? 0))),
      );
    },
    getSettings: () =>
      Promise.resolve(ok({ deviceApproval: desk.needsApproval, keyDays: desk.keyDays })),
    setSettings: () =>
      Promise.resolve(
        cannot(
          'embedded',
          'settings-write',
          'They are `engine.deviceApproval` and `engine.keyDays` of the configuration.',
        ),
      ),
  };
}

/** Records of our own are no part of the port, and stay as they are. */
function setDns(control: Control, dns: EngineDns, by: Requester): ReturnType<Control['execute']> {
  const { extraRecords } = control.snapshot().network.dns;
  const { splitDns, ...rest } = dns;
  const routes = Object.entries(splitDns).map(([domain, resolvers]) => ({ domain, resolvers }));
  return control.execute({ kind: 'dns.set', dns: { ...rest, routes, extraRecords } }, by);
}

function userOf(user: NetworkUser, devices: number): EngineUser {
  return {
    id: user.id,
    login: user.login,
    displayName: user.displayName,
    ...(user.role === undefined ? {} : { role: user.role }),
    createdAtMs: user.createdAtMs,
    devices,
  };
}
