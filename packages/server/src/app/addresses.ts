import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';

/** A place to listen on TCP. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

const portMax = 65_535;

/**
 * Reads an address of the configuration: `8080` is that port on both loopback addresses, `:8080` on all addresses,
 * `host:port` and `[v6]:port` on that one. Port 0 asks the system for a free one.
 */
export function parseAddress(text: string): Result<readonly HostPort[], string> {
  const match = /^(?:(?<host>\[[^\]]*\]|[^:]*):)?(?<port>\d{1,5})$/.exec(text);
  const port = Number(match?.groups?.['port']);
  if (match === null || port > portMax) {
    return err(`"${text}" is no address; write PORT, :PORT, HOST:PORT or [V6]:PORT`);
  }
  const host = match.groups?.['host'];
  if (host === undefined) return ok(loopback(port));
  if (host === '')
    return ok([
      { host: '0.0.0.0', port },
      { host: '::', port },
    ]);
  return ok([{ host: host.replace(/^\[|\]$/g, ''), port }]);
}

export function loopback(port: number): readonly HostPort[] {
  return [
    { host: '127.0.0.1', port },
    { host: '::1', port },
  ];
}

export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
