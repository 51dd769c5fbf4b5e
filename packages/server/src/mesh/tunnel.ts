import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Joins two connections byte for byte in both directions, half-closes included, until both are over. */
export function splice(left: Duplex, right: Duplex): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    const over = (one: Duplex, other: Duplex): void => {
      open -= 1;
      // A side that ended in any other way than by its end takes the other one with it.
      if (!one.readableEnded || !one.writableFinished) other.destroy();
      if (open === 0) resolve();
    };
    for (const [one, other] of [
      [left, right],
      [right, left],
    ] as const) {
      one.on('error', () => undefined);
      one.once('close', () => over(one, other));
      one.pipe(other);
    }
    if (left.destroyed) right.destroy();
    if (right.destroyed) left.destroy();
  });
}

/** Long silences are normal for tunnels: TCP itself finds out whether the other end still lives. */
export function keepTunnelAlive(socket: Socket): void {
  socket.setTimeout(0);
  socket.setKeepAlive(true, 30_000);
  socket.setNoDelay(true);
}
