import { connect } from 'node:net';
import type { Instance } from '@postern/core/registry';
import type { HealthRule, Probe } from '../../control/registry/index.ts';
import type { Egress } from '../../http/index.ts';

/** Looks at nodes from here, as the gateway would reach them. */
export function createProbe(egress: Egress): Probe {
  return (instance, rule, signal) => {
    const [address] = instance.addresses;
    if (address === undefined) return Promise.resolve('it has no address');
    if (instance.port === undefined) return Promise.resolve('it names no port to look at');
    return rule.kind === 'tcp'
      ? probeTcp(address, instance.port, signal)
      : probeHttp(egress, instance, rule, signal);
  };
}

/** Whether somebody accepts a connection; undefined: yes. */
export function probeTcp(
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve('it does not answer in time');
    const socket = connect({ host, port });
    const done = (problem: string | undefined): void => {
      signal.removeEventListener('abort', late);
      socket.destroy();
      resolve(problem);
    };
    const late = (): void => done(`port ${port} does not answer in time`);
    signal.addEventListener('abort', late, { once: true });
    socket.once('connect', () => done(undefined));
    socket.once('error', (cause: NodeJS.ErrnoException) =>
      done(`port ${port} cannot be reached (${cause.code ?? cause.message})`),
    );
  });
}

async function probeHttp(
  egress: Egress,
  { addresses: [address = ''], port }: Instance,
  { path, timeoutMs }: HealthRule,
  signal: AbortSignal,
): Promise<string | undefined> {
  const host = address.includes(':') ? `[${address}]` : address;
  const answer = await egress({
    method: 'GET',
    url: new URL(`http://${host}:${port}${path}`),
    headers: { accept: '*/*' },
    signal,
    timeouts: {
      connectMs: timeoutMs,
      firstByteMs: timeoutMs,
      idleMs: timeoutMs,
      totalMs: timeoutMs,
    },
    // Addresses of nodes are within networks that the operator wrote.
    permission: { internal: true },
  });
  if (!answer.ok) return answer.error.message;
  const { status } = answer.value;
  answer.value.cancel();
  return status >= 200 && status < 300 ? undefined : `GET ${path} answered ${status}`;
}
