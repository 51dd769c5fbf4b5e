import type { JsonValue } from '@postern/core/base';
import { err, isJsonObject, jsonValueOf, ok } from '@postern/core/base';
import { addrFromBytes, formatAddr, unmap } from '@postern/core/base/netip';
import type { DaemonFacts, FirewallFacts, Known, ListeningSocket } from '../../ops/index.ts';
import type { Sight } from './sight.ts';

const listenState = '0A';

/** The sockets on which this process listens, as the kernel has them: not what somebody configured. */
export async function listeningSockets(sight: Sight): Promise<Known<readonly ListeningSocket[]>> {
  const inodes = await sight.ownInodes();
  if (!inodes.ok) return inodes;
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => sight.readText(file)),
  );
  const texts = tables.flatMap((table) => (table.ok ? [table.value] : []));
  if (texts.length === 0) return err('/proc/net/tcp cannot be read');
  return ok(texts.flatMap((text) => listenersIn(text, inodes.value)));
}

/** Every socket of this machine that takes TCP connections, whosever it is. */
export async function everyListeningSocket(
  sight: Pick<Sight, 'readText'>,
): Promise<Known<readonly ListeningSocket[]>> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => sight.readText(file)),
  );
  const texts = tables.flatMap((table) => (table.ok ? [table.value] : []));
  if (texts.length === 0) return err('/proc/net/tcp cannot be read');
  return ok(texts.flatMap((text) => listenersIn(text, undefined)));
}

/** `inodes`: only of these. */
function listenersIn(
  table: string,
  inodes: ReadonlySet<string> | undefined,
): readonly ListeningSocket[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    if (state !== listenState || inodes?.has(inode) === false) return [];
    const [hexAddress = '', hexPort = ''] = local.split(':');
    const host = addressOf(hexAddress);
    return host === undefined ? [] : [{ host, port: Number.parseInt(hexPort, 16) }];
  });
}

/** The kernel writes addresses as 32-bit words in the order of the machine, which is little-endian wherever Node runs. */
function addressOf(hex: string): string | undefined {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length !== 4 && bytes.length !== 16) return undefined;
  const addr = addrFromBytes(new Uint8Array(bytes.swap32()));
  return addr === undefined ? undefined : formatAddr(unmap(addr));
}

/** nft where it answers, else iptables. Both need rights that a hardened service does not have. */
export async function firewallOf(sight: Sight): Promise<Known<FirewallFacts>> {
  const nft = await sight.run(['nft', '-j', 'list', 'ruleset']);
  if (nft.ok) return nftFacts(nft.value);
  const iptables = await sight.run(['iptables', '-S', 'INPUT']);
  if (iptables.ok) {
    const drops =
      /^-P INPUT DROP$/m.test(iptables.value) ||
      /^-A INPUT -j (?:DROP|REJECT)/m.test(iptables.value);
    return ok({ by: 'iptables', input: drops ? 'drop' : 'accept' });
  }
  return err(`${nft.error}; ${iptables.error}`);
}

export function nftFacts(text: string): Known<FirewallFacts> {
  const value = jsonValueOf(text);
  const items = isJsonObject(value) ? value['nftables'] : undefined;
  if (!Array.isArray(items)) return err('nft answered something that is not a ruleset');
  const chains = items.flatMap((item) => memberOf(item, 'chain'));
  const inputs = chains.filter((chain) => chain['hook'] === 'input');
  const drops = inputs.some(
    (chain) => chain['policy'] === 'drop' || endsInDrop(items, chain['name']),
  );
  return ok({ by: 'nft', input: drops ? 'drop' : 'accept' });
}

/** The last rule of a chain takes whatever no rule before it took. */
function endsInDrop(items: readonly JsonValue[], chain: JsonValue | undefined): boolean {
  const rules = items.flatMap((item) => memberOf(item, 'rule'));
  const last = rules.filter((rule) => rule['chain'] === chain).at(-1)?.['expr'];
  if (!Array.isArray(last)) return false;
  const acts = last.filter((each) => isJsonObject(each) && !('counter' in each));
  const [only] = acts;
  return acts.length === 1 && isJsonObject(only) && ('drop' in only || 'reject' in only);
}

function memberOf(
  item: JsonValue,
  name: string,
): Extract<JsonValue, object>[] & { [key: string]: JsonValue }[] {
  const found = isJsonObject(item) ? item[name] : undefined;
  return found !== undefined && isJsonObject(found) ? [found] : [];
}

export async function daemonOf(sight: Sight): Promise<Known<DaemonFacts | undefined>> {
  const found = await sight.daemon();
  if (!found.ok || found.value === undefined) return found.ok ? ok(undefined) : found;
  const { state, hasDevice, keyExpiresAtMs, funnels } = found.value;
  return ok({ state, hasDevice, keyExpiresAtMs, funnels });
}

/** Whoever keeps the time of this machine leaves a sign. */
export async function clockIsSet(sight: Sight): Promise<Known<boolean>> {
  const timesyncd = await sight.readText('/run/systemd/timesync/synchronized');
  if (timesyncd.ok) return ok(true);
  const [timedatectl, chrony] = await Promise.all([
    sight.run(['timedatectl', 'show', '-p', 'NTPSynchronized', '--value']),
    sight.run(['chronyc', '-c', 'tracking']),
  ]);
  if (chrony.ok) return ok(/,Normal\s*$/.test(chrony.value));
  if (timedatectl.ok) return ok(timedatectl.value.trim() === 'yes');
  return err(`${timedatectl.error}; ${chrony.error}`);
}
