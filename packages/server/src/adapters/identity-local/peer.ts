import process from 'node:process';
import { isLoopbackAddress } from '@postern/core/identity';
import type { ConnectionEvidence, Peer } from '../../http/index.ts';
import { establishedState, findTcpPair } from './tcp-table.ts';

export interface PeerInspection {
  readonly platform: string;
  /** Effective user id of this process; undefined where the system has none. */
  readonly uid: number | undefined;
  /** Folder of the kernel's socket tables. */
  readonly procNet: string;
}

/**
 * To whom the kernel maps user ids that it cannot name (linux/highuid.h), also called `nobody`. Strangers share it,
 * so having it proves nothing.
 */
const overflowUid = 65_534;

/** This process on this machine. */
export function thisProcess(): PeerInspection {
  return { platform: process.platform, uid: process.geteuid?.(), procNet: '/proc/self/net' };
}

/**
 * Who on this machine holds the other end of a connection, asked once at accept before a byte of it is read.
 *
 * Believed is only a client socket that is ESTABLISHED, open in some process (inode not 0) and of our own user: a
 * stranger's socket that has closed shows up in TIME_WAIT under user 0. Our own end must be alive in the same way: a
 * stranger may reset the connection and leave its port to another process, whose socket would then be read instead;
 * that successor is not accepted yet, so its server end has no inode.
 */
export function inspectLocalPeer(
  peer: Peer,
  inspection: PeerInspection = thisProcess(),
): ConnectionEvidence {
  const { address, port, localAddress, localPort } = peer;
  if (peer.transport === 'unix' || address === undefined || port === undefined)
    return notOurs('the connection is not a TCP connection of this machine');
  if (localAddress === undefined || localPort === undefined)
    return notOurs('the connection was closed before it could be looked at');
  if (!isLoopbackAddress(address) || !isLoopbackAddress(localAddress))
    return notOurs('the connection does not come from this machine');
  if (inspection.platform !== 'linux')
    return notOurs('this system does not tell who holds the other end of a connection');
  if (inspection.uid === undefined || inspection.uid === overflowUid)
    return notOurs('Postern runs as nobody, a user that strangers share');
  return judgePair(inspection.uid, inspection.procNet, {
    client: { address, port },
    server: { address: localAddress, port: localPort },
  });
}

function judgePair(
  uid: number,
  procNet: string,
  ends: { client: { address: string; port: number }; server: { address: string; port: number } },
): ConnectionEvidence {
  let pair;
  try {
    pair = findTcpPair(procNet, ends.client, ends.server);
  } catch {
    return notOurs('the table of connections (/proc/net/tcp) cannot be read');
  }
  if (!isAlive(pair.server))
    return notOurs('the connection was closed before it could be looked at');
  if (pair.client === undefined)
    return notOurs(
      'the other end of the connection is not a process of this machine that can be seen',
    );
  if (!isAlive(pair.client))
    return notOurs('the other end of the connection had closed it already');
  if (pair.client.uid !== uid)
    return notOurs(
      `the other end of the connection belongs to another user (uid ${pair.client.uid})`,
    );
  return { localOwner: { ours: true } };
}

function isAlive(row: { readonly state: string; readonly inode: number } | undefined): boolean {
  return row !== undefined && row.state === establishedState && row.inode !== 0;
}

function notOurs(why: string): ConnectionEvidence {
  return { localOwner: { ours: false, why } };
}
