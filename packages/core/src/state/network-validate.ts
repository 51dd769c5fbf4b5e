import { parseAddr, parsePrefix } from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { KnownNode, NetworkCommand } from './network-command.ts';
import type { DnsSettings } from './network.ts';
import { userRoles } from './network.ts';
import { isLabel } from './network-name.ts';
import { stateLimits } from './limits.ts';

const keyPattern = /^(?:mkey|nodekey):[0-9a-f]{64}$/;
const machineKeyPattern = /^mkey:(?!0{64}$)[0-9a-f]{64}$/;
const nodeKeyPattern = /^nodekey:(?!0{64}$)[0-9a-f]{64}$/;
/** Far more than there are machines, and far from the numbers that clients keep for themselves. */
const numberMax = 2_000_000_000;
const tagPattern = /^tag:[A-Za-z][A-Za-z0-9-]{0,62}$/;
const digestPattern = /^[0-9a-f]{64}$/;
const namePattern =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const controls = /\p{Cc}/u;

type Flaw = Refusal | undefined;

/** The first thing wrong with a command of the network, whatever the state. */
export function networkCommandFlaw(command: NetworkCommand): Flaw {
  switch (command.kind) {
    case 'user.create':
      return claimFlaw(command.user);
    case 'user.role':
      return loginFlaw(command.login) ?? roleFlaw(command.role);
    case 'node.adopt':
      return adoptFlaw(command);
    case 'preauthkey.create':
      return preAuthKeyFlaw(command);
    case 'node.register':
      return registerFlaw(command);
    case 'node.rename':
      if (command.from !== 'chosen') return textFlaw('name', command.name);
      return isLabel(command.name)
        ? undefined
        : flaw('name', 'A name is 1 to 63 letters, digits and dashes in lower case.');
    case 'node.tag':
      return tagsFlaw(command.tags);
    case 'node.routes':
      return routesFlaw(command.approved);
    case 'dns.set':
      return dnsFlaw(command.dns);
    case 'preauthkey.revoke':
    case 'node.expire':
    case 'node.approve':
    case 'node.delete':
      return textFlaw('id', command.id);
    default:
      return command satisfies never;
  }
}

function claimFlaw(claim: Extract<NetworkCommand, { kind: 'user.create' }>['user']): Flaw {
  return (
    textFlaw('authority', claim.authority) ??
    textFlaw('subject', claim.subject) ??
    loginFlaw(claim.login) ??
    textFlaw('displayName', claim.displayName)
  );
}

function roleFlaw(role: string | undefined): Flaw {
  const isKnown = role === undefined || userRoles.some((each) => each === role);
  return isKnown ? undefined : flaw('role', `Is one of ${userRoles.join(', ')}.`);
}

function adoptFlaw(node: KnownNode): Flaw {
  const { machineKey, nodeKey, login, tags, addresses, number } = node;
  if (!machineKeyPattern.test(machineKey)) return flaw('machineKey', 'Needs mkey: and 64 digits.');
  if (!nodeKeyPattern.test(nodeKey)) return flaw('nodeKey', 'Needs nodekey: and 64 digits.');
  if (!isLabel(node.name)) return flaw('name', 'Is no label.');
  if (login === undefined && tags.length === 0) return flaw('login', 'It needs a user or tags.');
  if (number !== undefined && (!Number.isSafeInteger(number) || number < 1 || number > numberMax)) {
    return flaw('number', `Is 1 to ${numberMax}.`);
  }
  const families = addresses.map((text) => (parseAddr(text).ok ? text.includes(':') : undefined));
  if (families.length !== 2 || families[0] !== false || families[1] !== true) {
    return flaw('addresses', 'Needs one IPv4 and one IPv6 address, in this order.');
  }
  return (
    (login === undefined ? undefined : loginFlaw(login)) ??
    tagsFlaw(tags) ??
    routesFlaw(node.approvedRoutes)
  );
}

function loginFlaw(login: string): Flaw {
  const isLogin = /^[^\s@:]+@[^\s@:]+$/.test(login) && login.length <= 254 && !controls.test(login);
  return isLogin ? undefined : flaw('login', 'A login is written like alice@example.com.');
}

function preAuthKeyFlaw(command: Extract<NetworkCommand, { kind: 'preauthkey.create' }>): Flaw {
  const { digest, login, tags, lifeMs, description } = command;
  if (!digestPattern.test(digest)) return flaw('digest', 'Needs a SHA-256 in lower-case hex.');
  if ((login === undefined) === (tags.length === 0)) {
    return flaw('login', 'A key is either for a user or for tags.');
  }
  if (!Number.isSafeInteger(lifeMs) || lifeMs < 1_000 || lifeMs > stateLimits.preAuthKeyLifeMsMax) {
    return flaw('lifeMs', `A key lives for a second to ${stateLimits.preAuthKeyLifeMsMax} ms.`);
  }
  return (
    (login === undefined ? undefined : loginFlaw(login)) ??
    tagsFlaw(tags) ??
    (description === undefined ? undefined : textFlaw('description', description))
  );
}

function registerFlaw(command: Extract<NetworkCommand, { kind: 'node.register' }>): Flaw {
  const { machineKey, nodeKey, admission, tags, ipv4Pool, ipv6Pool, hostname } = command;
  if (!keyPattern.test(machineKey) || !keyPattern.test(nodeKey)) {
    return flaw('nodeKey', 'Needs a key in the text form of clients.');
  }
  if (/^nodekey:0{64}$/.test(nodeKey)) return flaw('nodeKey', 'The zero key is no key.');
  if (!parsePrefix(ipv4Pool).ok) return flaw('ipv4Pool', 'Needs a prefix.');
  if (!parsePrefix(ipv6Pool).ok) return flaw('ipv6Pool', 'Needs a prefix.');
  if (hostname.length > 253) return flaw('hostname', 'Has at most 253 characters.');
  return tagsFlaw(tags) ?? (admission.by === 'user' ? claimFlaw(admission.user) : undefined);
}

function tagsFlaw(tags: readonly string[]): Flaw {
  if (tags.length > stateLimits.nodeTagsMax) return flaw('tags', 'Too many tags.');
  if (new Set(tags).size !== tags.length) return flaw('tags', 'A tag stands twice.');
  const bad = tags.find((tag) => !tagPattern.test(tag));
  return bad === undefined
    ? undefined
    : flaw('tags', `${bad.slice(0, 64)} is no tag; write tag:name.`);
}

function routesFlaw(routes: readonly string[]): Flaw {
  if (routes.length > stateLimits.nodeRoutesMax) return flaw('approved', 'Too many routes.');
  const bad = routes.find((route) => !parsePrefix(route).ok);
  return bad === undefined ? undefined : flaw('approved', `${bad.slice(0, 64)} is no prefix.`);
}

function dnsFlaw(dns: DnsSettings): Flaw {
  const { nameservers, routes, searchDomains, extraRecords } = dns;
  const max = stateLimits.dnsEntriesMax;
  if ([nameservers, routes, searchDomains, extraRecords].some(({ length }) => length > max)) {
    return flaw('dns', `At most ${max} entries in each list.`);
  }
  const resolvers = [...nameservers, ...routes.flatMap((route) => route.resolvers)];
  const badResolver = resolvers.find((text) => !isResolver(text));
  if (badResolver !== undefined) {
    return flaw('nameservers', `${badResolver.slice(0, 64)} is no address and no https URL.`);
  }
  const names = [...routes.map(({ domain }) => domain), ...searchDomains];
  const badName = [...names, ...extraRecords.map(({ name }) => name)].find(
    (name) => !namePattern.test(name),
  );
  if (badName !== undefined) return flaw('dns', `${badName.slice(0, 64)} is no DNS name.`);
  const badRecord = extraRecords.find(({ type, value }) => !isRecordValue(type, value));
  return badRecord === undefined
    ? undefined
    : flaw('extraRecords', `${badRecord.value.slice(0, 64)} is no address for ${badRecord.type}.`);
}

function isResolver(text: string): boolean {
  return parseAddr(text).ok || (text.startsWith('https://') && URL.canParse(text));
}

function isRecordValue(type: 'A' | 'AAAA', value: string): boolean {
  return parseAddr(value).ok && value.includes(':') === (type === 'AAAA');
}

function textFlaw(param: string, text: string): Flaw {
  const isPlain = text !== '' && text.length <= 512 && text.isWellFormed() && !controls.test(text);
  return isPlain ? undefined : flaw(param, 'Needs 1 to 512 characters without control characters.');
}

function flaw(param: string, message: string): Refusal {
  return refusal('invalid_request', `${param}: ${message}`, { param });
}
