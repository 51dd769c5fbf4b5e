import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { formatAddr, parseAddr, unmap } from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { tailnetNode, tailnetUser } from '@postern/core/identity';
import type { Device, NetworkEngine } from '../../control/engine/index.ts';
import type { NetworkIdentity, Whois } from '../../gateway/index.ts';

/** How long a list of machines counts: what is taken back is gone that soon. */
const rememberMs = 2_000;
/** Where the list cannot be had, callers are told so that soon and not after every try. */
const failedMs = 1_000;

export interface RoutedOptions {
  /** The engine of the network, once there is one. */
  readonly engine: () => NetworkEngine | undefined;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
}

type Listed = Result<ReadonlyMap<string, Device>, Refusal>;

/**
 * Who has an address, by the engine's API: for callers behind a subnet router that leaves their addresses as they are.
 * One question for all who ask within two seconds. A machine that waits, or whose key has ended, is nobody; an engine
 * that cannot be asked is 503, never "nobody".
 */
export function createRoutedWhois(options: RoutedOptions): Whois {
  const { engine, nowMs, monotonicMs } = options;
  let held: { readonly listed: Promise<Listed>; readonly atMs: number } | undefined;
  let forMs = rememberMs;
  const machines = (): Promise<Listed> => {
    const atMs = monotonicMs();
    if (held !== undefined && atMs - held.atMs < forMs) return held.listed;
    forMs = rememberMs;
    const listed = list(engine()).then((result) => {
      if (!result.ok) forMs = failedMs;
      return result;
    });
    held = { listed, atMs };
    return listed;
  };
  return async (address) => {
    const listed = await machines();
    if (!listed.ok) return listed;
    const device = listed.value.get(canonical(withoutPort(address)));
    return ok(device === undefined ? undefined : identityOf(device, nowMs()));
  };
}

async function list(engine: NetworkEngine | undefined): Promise<Listed> {
  if (engine === undefined) {
    return err(
      refusal('state_unavailable', 'No engine runs that knows the callers behind the router.'),
    );
  }
  const devices = await engine.listDevices();
  if (!devices.ok) {
    return err(
      refusal(
        'state_unavailable',
        'The engine of the private network cannot be asked who you are now. Try again.',
        { retryAfterMs: failedMs, detail: { cause: devices.error.message } },
      ),
    );
  }
  return ok(
    new Map(
      devices.value.flatMap((device) =>
        device.addresses.map((each) => [canonical(each), device] as const),
      ),
    ),
  );
}

function identityOf(device: Device, nowMs: number): NetworkIdentity | undefined {
  const { id, fqdn, name, tags, addresses, user, expiresAtMs } = device;
  const hasEnded = expiresAtMs !== undefined && nowMs >= expiresAtMs;
  if (!device.authorized || hasEnded) return undefined;
  if (tags.length > 0) return { principal: tailnetNode(id, fqdn ?? name, tags, addresses) };
  return user === undefined
    ? undefined
    : { principal: { ...tailnetUser(user, undefined), addresses: [...addresses] } };
}

function withoutPort(address: string): string {
  return address.replace(/^\[(.+)\]:\d+$/, '$1').replace(/^([^:]+):\d+$/, '$1');
}

function canonical(address: string): string {
  const parsed = parseAddr(address);
  return parsed.ok ? formatAddr(unmap(parsed.value)) : address;
}
