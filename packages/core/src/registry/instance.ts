import {
  isLinkLocalUnicast,
  isMulticast,
  isUnspecified,
  parseAddr,
} from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { registryLimits } from './limits.ts';

/** One running copy of a service, as its owner registered it. Whether it is alive is in its lease, not here. */
export interface Instance {
  /** Chosen by the machine; unique in the registry. */
  readonly uuid: string;
  /** What it serves, such as `instant`. Empty: it has joined and does not say yet; nobody discovers it. */
  readonly nodeType: string;
  readonly hostname: string;
  /** IP addresses, the preferred one first. */
  readonly addresses: readonly string[];
  readonly port?: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** `principalKey` of whoever registered it: nobody else may change it. */
  readonly owner: string;
  /** How long it counts as alive after a heartbeat. */
  readonly leaseMs: number;
  readonly registeredAtMs: number;
  /** When what is registered last changed. */
  readonly updatedAtMs: number;
}

/** What an owner says about an instance. */
export type InstanceClaim = Omit<Instance, 'owner' | 'registeredAtMs' | 'updatedAtMs'>;

const uuidPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
const typePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const hostnamePattern =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_-]{1,63})*\.?$/;
const metadataKeyPattern = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;
const controls = /\p{Cc}/u;
const portMax = 65_535;

export function isNodeType(text: string): boolean {
  return typePattern.test(text);
}

export function isInstanceId(text: string): boolean {
  return uuidPattern.test(text);
}

/** The first thing wrong with what an owner says, or undefined. */
export function claimFlaw(claim: InstanceClaim): Refusal | undefined {
  const { uuid, nodeType, hostname, addresses, port, leaseMs } = claim;
  if (!isInstanceId(uuid)) {
    return flaw('uuid', 'An instance id has 1 to 128 letters, digits, dots, colons and dashes.');
  }
  if (nodeType !== '' && !isNodeType(nodeType)) {
    return flaw('node_type', 'A node type has 1 to 63 letters, digits, dots and dashes.');
  }
  if (!hostnamePattern.test(hostname)) return flaw('hostname', 'This is no host name.');
  if (port !== undefined && !(Number.isSafeInteger(port) && port >= 1 && port <= portMax)) {
    return flaw('port', `A port is a number from 1 to ${portMax}.`);
  }
  const { leaseMsMin, leaseMsMax } = registryLimits;
  if (!Number.isSafeInteger(leaseMs) || leaseMs < leaseMsMin || leaseMs > leaseMsMax) {
    return flaw('lease_seconds', `A lease takes ${leaseMsMin} to ${leaseMsMax} milliseconds.`);
  }
  return addressesFlaw(addresses) ?? metadataFlaw(claim.metadata);
}

/** Requests will be sent there: no address that every machine has for itself, or that a cloud answers with secrets. */
function addressesFlaw(addresses: readonly string[]): Refusal | undefined {
  if (addresses.length > registryLimits.addressesMax) {
    return flaw('addresses', `An instance has at most ${registryLimits.addressesMax} addresses.`);
  }
  if (new Set(addresses).size !== addresses.length) {
    return flaw('addresses', 'An address stands twice.');
  }
  for (const text of addresses) {
    const addr = parseAddr(text);
    if (!addr.ok || text.includes('%')) return flaw('addresses', 'This is no IP address.');
    if (isUnspecified(addr.value) || isMulticast(addr.value) || isLinkLocalUnicast(addr.value)) {
      return flaw('addresses', `${text} is no address of one machine in a network.`);
    }
  }
  return undefined;
}

function metadataFlaw(metadata: Instance['metadata']): Refusal | undefined {
  const { metadataEntriesMax, metadataKeyCharsMax, metadataValueCharsMax } = registryLimits;
  const entries = Object.entries(metadata);
  if (entries.length > metadataEntriesMax) {
    return flaw('metadata', `There are at most ${metadataEntriesMax} entries.`);
  }
  for (const [key, value] of entries) {
    if (key.length > metadataKeyCharsMax || !metadataKeyPattern.test(key)) {
      return flaw('metadata', 'A key has 1 to 64 letters, digits, dots, slashes and dashes.');
    }
    if (value.length > metadataValueCharsMax || controls.test(value) || !value.isWellFormed()) {
      return flaw('metadata', `A value has at most ${metadataValueCharsMax} printable characters.`);
    }
  }
  return undefined;
}

/** Whether a claim changes anything about what is registered. */
export function isSameClaim(instance: Instance, claim: InstanceClaim): boolean {
  const [a, b] = [Object.entries(instance.metadata), claim.metadata];
  return (
    instance.nodeType === claim.nodeType &&
    instance.hostname === claim.hostname &&
    instance.port === claim.port &&
    instance.leaseMs === claim.leaseMs &&
    instance.addresses.length === claim.addresses.length &&
    instance.addresses.every((each, at) => each === claim.addresses[at]) &&
    a.length === Object.keys(b).length &&
    a.every(([key, value]) => Object.hasOwn(b, key) && b[key] === value)
  );
}

function flaw(param: string, message: string): Refusal {
  return { ...refusal('invalid_request', `${param}: ${message}`), param };
}
