import { closeSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';
import { addrBytes, isV4, parseAddr, unmap, withZone } from '@postern/core/base/netip';
import type { Addr } from '@postern/core/base/netip';

/** TCP_ESTABLISHED of linux/net/tcp_states.h, as the table prints it. */
export const establishedState = '01';

/** One end of a connection. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What the table says about one socket of a connection. */
export interface TcpRow {
  readonly state: string;
  readonly uid: number;
  /** 0: no process holds the socket (closed, or not accepted yet). */
  readonly inode: number;
}

/** The two sockets of a connection within this machine, each as seen from its own end. */
export interface TcpPair {
  readonly client: TcpRow | undefined;
  readonly server: TcpRow | undefined;
}

/** The kernel hands out about a page at a time; larger buffers gain nothing. */
const chunkBytes = 16_384;
/**
 * A read that brings less than this was the last one: the kernel fills a page (4 KiB or more) up to the row that no
 * longer fits. Reading once more to see the end would walk the kernel's hash table again (3 ms with 262,144 buckets).
 */
const lastReadBytes = 3_072;
/** About 400,000 rows. A table beyond this is not searched to its end: the caller is then refused. */
const tableBytesMax = 64 * 1024 * 1024;

const isLittleEndian = endianness() === 'LE';

/**
 * Finds both sockets of a connection in `/proc/net/tcp` and `tcp6`. A socket of either family may hold an IPv4
 * connection (`::ffff:a.b.c.d`), so an IPv4 pair is sought in both files. Reading stops at the row that completes the
 * pair. Throws what the file system throws.
 */
export function findTcpPair(procNet: string, client: Endpoint, server: Endpoint): TcpPair {
  const from = parsed(client.address);
  const to = parsed(server.address);
  if (from === undefined || to === undefined || isV4(from) !== isV4(to))
    return { client: undefined, server: undefined };
  let pair: TcpPair = { client: undefined, server: undefined };
  const tables = isV4(from) ? (['tcp', 'tcp6'] as const) : (['tcp6'] as const);
  for (const table of tables) {
    const render = table === 'tcp' ? v4Text : v6Text;
    const a = `${render(from)}:${portText(client.port)}`;
    const b = `${render(to)}:${portText(server.port)}`;
    pair = searchTable(`${procNet}/${table}`, `: ${a} ${b} `, `: ${b} ${a} `, pair);
    if (pair.client !== undefined && pair.server !== undefined) break;
  }
  return pair;
}

function parsed(address: string): Addr | undefined {
  const result = parseAddr(address);
  return result.ok ? withZone(unmap(result.value), '') : undefined;
}

function portText(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

function v4Text(addr: Addr): string {
  return wordText(addrBytes(addr), 0);
}

/** Four 32-bit words in host order; an IPv4 address as its mapped form. */
function v6Text(addr: Addr): string {
  const bytes = addrBytes(addr);
  const whole = new Uint8Array(16);
  if (bytes.length === 4) {
    whole.fill(0xff, 10, 12);
    whole.set(bytes, 12);
  } else whole.set(bytes);
  return [0, 4, 8, 12].map((at) => wordText(whole, at)).join('');
}

/** The kernel prints the network-order word as a number of the host: reversed on little-endian machines. */
function wordText(bytes: Uint8Array, at: number): string {
  const word = Buffer.from(bytes.subarray(at, at + 4));
  if (isLittleEndian) word.reverse();
  return word.toString('hex').toUpperCase();
}

function searchTable(path: string, client: string, server: string, known: TcpPair): TcpPair {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    // A kernel without IPv6 has no tcp6, and then no rows in it.
    if (path.endsWith('/tcp6') && isMissing(error)) return known;
    throw error;
  }
  try {
    return searchOpenTable(fd, client, server, known);
  } finally {
    closeSync(fd);
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function searchOpenTable(fd: number, client: string, server: string, known: TcpPair): TcpPair {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  let found = known;
  let kept = 0;
  for (let total = 0; total < tableBytesMax; ) {
    const read = readSync(fd, buffer, kept, buffer.length - kept, null);
    if (read === 0) break;
    total += read;
    const end = kept + read;
    const rowsEnd = buffer.lastIndexOf(0x0a, end - 1) + 1;
    const rows = buffer.subarray(0, rowsEnd);
    found = {
      client: found.client ?? rowAt(rows, client),
      server: found.server ?? rowAt(rows, server),
    };
    if (found.client !== undefined && found.server !== undefined) break;
    if (read < lastReadBytes && rowsEnd === end) break;
    buffer.copy(buffer, 0, rowsEnd, end);
    kept = end - rowsEnd;
    // A row has 150 to 250 bytes; one that fills the buffer is no row.
    if (kept === buffer.length) break;
  }
  return found;
}

/** ` sl: local remote st tx:rx tr:tm retrnsmt uid timeout inode …`, the columns of `get_tcp4_sock`. */
function rowAt(rows: Buffer, needle: string): TcpRow | undefined {
  const at = rows.indexOf(needle, 0, 'latin1');
  if (at < 0) return undefined;
  const start = at + needle.length;
  const end = rows.indexOf(0x0a, start);
  const columns = rows.toString('latin1', start, end).trim().split(/ +/);
  const uid = Number(columns[4]);
  const inode = Number(columns[6]);
  if (!Number.isSafeInteger(uid) || !Number.isSafeInteger(inode)) return undefined;
  return { state: columns[0] ?? '', uid, inode };
}
