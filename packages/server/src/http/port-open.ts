import { connect } from 'node:net';

/** Whether something on this machine accepts connections on a loopback port, within `msMax`. Sends nothing. */
export function isLoopbackPortOpen(port: number, msMax: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const finish = (isOpen: boolean): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.setTimeout(msMax, () => finish(false));
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}
