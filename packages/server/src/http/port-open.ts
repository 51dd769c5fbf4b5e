import { connect } from 'node:net';

const triedMsMax = 2_000;

/** Whether something on this machine accepts connections on a loopback port, within `msMax`. Sends nothing. */
export function isLoopbackPortOpen(port: number, msMax: number): Promise<boolean> {
  return isPortOpen('127.0.0.1', port, msMax);
}

/** Whether something accepts connections at an address of this machine. Sends nothing. */
export function isPortOpen(
  host: string,
  port: number,
  msMax: number = triedMsMax,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.setTimeout(msMax, () => finish(false));
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
