import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { ConnectionEvidence, Peer } from './exchange.ts';
import type { HttpLimits } from './limits.ts';

/** What a listener remembers about one connection. */
export interface Connection {
  readonly socket: Socket;
  readonly peer: Peer;
  readonly evidence: ConnectionEvidence | undefined;
  /** No later request of this connection reaches a handler: it was refused, or said that it ends. */
  closing: boolean;
  /** Requests taken so far. */
  taken: number;
  /** What waits for its turn: answers go out in the order of the requests (RFC 9112 section 9.3.2). */
  readonly waiting: Turn[];
  active: Turn | undefined;
}

/** One request in its order on a connection. */
export interface Turn {
  /** Whether the request has arrived to its last byte. */
  readonly complete: () => boolean;
  readonly run: () => Promise<void>;
  /** The body turned out to be malformed: answer that instead, or cut an answer that has begun. */
  readonly spoil: () => void;
}

export function peerOf(socket: Socket, transport: Peer['transport']): Peer {
  if (transport === 'unix') {
    return {
      transport,
      address: undefined,
      port: undefined,
      localAddress: undefined,
      localPort: undefined,
    };
  }
  return {
    transport,
    address: socket.remoteAddress,
    port: socket.remotePort,
    localAddress: socket.localAddress,
    localPort: socket.localPort,
  };
}

/** Runs the turns of a connection one after the other; more than the limit in waiting cuts it. */
export function enqueue(connection: Connection, turn: Turn, limits: HttpLimits): void {
  if (connection.active !== undefined) {
    if (connection.waiting.length >= limits.pipelinedMax) connection.socket.destroy();
    else connection.waiting.push(turn);
    return;
  }
  void runTurns(connection, turn);
}

async function runTurns(connection: Connection, first: Turn): Promise<void> {
  let turn: Turn | undefined = first;
  connection.active = turn;
  // node:http announces a request before it has parsed the rest of what arrived with it: a body that is complete
  // then counts as complete, and a malformed one is refused before its handler runs.
  await new Promise((resolve) => setImmediate(resolve));
  while (turn !== undefined && isAnswerable(connection.socket)) {
    connection.active = turn;
    // oxlint-disable-next-line no-await-in-loop -- one answer after the other is the point
    await turn.run();
    turn = connection.waiting.shift();
  }
  connection.active = undefined;
  connection.waiting.length = 0;
}

/** Once our side has ended, what still waits can have no answer, so it must have no effect either. */
function isAnswerable(socket: Socket): boolean {
  return !socket.destroyed && !socket.writableEnded;
}

/** Closes at once, and visibly: a reset where the transport has one, so that no reader takes it for a clean end. */
export function cutConnection(socket: Socket): void {
  if (socket.destroyed) return;
  // Sockets of unix listeners have no remote address, and TLS has no reset of its own (a missing close_notify tells).
  const plainTcp = !(socket instanceof TLSSocket) && socket.remoteAddress !== undefined;
  if (plainTcp) socket.resetAndDestroy();
  else socket.destroy();
}

/**
 * Makes the end of a connection gentle: after our last byte the rest of the request is read and dropped for a while.
 * Closing with unread bytes would send a reset, which can destroy the answer on its way (RFC 9112 section 9.6).
 * node:http calls `destroySoon` for that end, so that is where it is done.
 */
export function lingerAtEnd(socket: Socket, limits: HttpLimits): void {
  socket.destroySoon = () => {
    if (socket.destroyed) return;
    if (socket.readableEnded) {
      socket.end(() => socket.destroy());
      return;
    }
    if (!socket.writableEnded) socket.end();
    const timer = setTimeout(() => socket.destroy(), limits.lingerMs);
    timer.unref();
    socket.once('end', () => socket.destroy());
    socket.once('close', () => clearTimeout(timer));
    socket.resume();
  };
}

/** A client that connects and stays silent is closed: the timers of node:http start with the first byte. */
export function closeIfSilent(socket: Socket, limits: HttpLimits): void {
  const bytesBefore = socket.bytesRead;
  const timer = setTimeout(() => {
    if (socket.bytesRead === bytesBefore) socket.destroy();
  }, limits.firstByteMs);
  timer.unref();
  socket.on('close', () => clearTimeout(timer));
}
