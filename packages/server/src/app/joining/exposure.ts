import type { LocalNode } from '../../adapters/identity-serve/index.ts';
import type { Backend, Forward } from './ports.ts';

/**
 * What Serve must pass on so that the network reaches the backend under its own port; undefined: nothing, it is reached
 * already. A daemon in userspace mode hands connections to 127.0.0.1 by itself; with a device, a backend that listens
 * on every address is there too.
 */
export async function exposure(
  { hasDevice, addresses }: LocalNode,
  { host, port }: Backend,
  probe: (host: string, port: number) => Promise<string | undefined>,
): Promise<Forward | undefined> {
  const rule = { port, target: targetOf({ host, port }) };
  if (!hasDevice) return host === '127.0.0.1' || host === 'localhost' ? undefined : rule;
  const [address] = addresses;
  if (address === undefined) return rule;
  return (await probe(address, port)) === undefined ? undefined : rule;
}

export function targetOf({ host, port }: Backend): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
