import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that systems give to outgoing connections: one of those may be taken between the look and its use, and
 * whoever knocks at a server that is down may be connected to itself from the very port, which is then taken for good.
 */
const from = 20_000;
const to = 32_000;
const triesMax = 200;
const given = new Set<number>();

/** A port of loopback on which nobody listens. It is given once; other processes look elsewhere, most likely. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = from + Math.floor(Math.random() * (to - from));
    // oxlint-disable-next-line no-await-in-loop -- until one is free
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error('no port is free');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    // On all addresses: some of the programs listen there.
    server.listen(port);
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
