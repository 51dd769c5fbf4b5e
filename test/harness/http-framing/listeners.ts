import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Bind,
  type Listener,
  type ListenerKind,
  type ListenerOptions,
  openListener,
} from '@postern/server/http';
import { makeCertificate } from './certificate.ts';
import type { Door } from './client.ts';
import { echoHandler } from './echo.ts';

/** One listener of every kind of transport and trust, with the echo handler behind the real parser. */
export interface Stage {
  readonly doors: ReadonlyMap<string, Door>;
  /** Kinds that this machine cannot open, with the reason. */
  readonly missing: readonly string[];
  /** A port at which any name of a host will do. */
  readonly anyNamePort: number;
  close(): Promise<void>;
}

interface Plan {
  readonly name: string;
  readonly kind: ListenerKind;
  readonly bind: Bind;
  readonly options?: Partial<ListenerOptions>;
}

const socketMode = 0o600;
/** Names, not ports, are compared: cases say localhost:8080 whatever the port is. */
const ownNames = ['localhost', '127.0.0.1', '::1'];
export const serveHeaders: readonly string[] = [
  'tailscale-user-login',
  'tailscale-user-name',
  'tailscale-user-profile-pic',
  'tailscale-app-capabilities',
  'tailscale-funnel-request',
  'tailscale-headers-info',
  'x-forwarded-for',
];

export async function openStage(changed: Partial<ListenerOptions> = {}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'http-'));
  const certificate = makeCertificate({ name: 'localhost', subjects: ['localhost'] });
  const plans = plansOf(folder, certificate.certificatePem, certificate.keyPem);
  const doors = new Map<string, Door>();
  const listeners: Listener[] = [];
  const missing: string[] = [];
  for (const plan of plans) {
    // oxlint-disable-next-line no-await-in-loop -- seven listeners, in order
    const opened = await openListener({ ...optionsOf(plan), ...changed });
    if (opened.ok) {
      listeners.push(opened.value);
      doors.set(plan.name, doorOf(plan.bind, opened.value, certificate.certificatePem));
    } else if (opened.error.kind === 'no-such-family') {
      missing.push(`${plan.name}: ${opened.error.message}`);
    } else {
      throw new Error(opened.error.message);
    }
  }
  const close = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => listener.close(0)));
    await rm(folder, { recursive: true, force: true });
  };
  const plain = doors.get('public plain');
  return { doors, missing, anyNamePort: plain?.kind === 'tcp' ? plain.port : 0, close };
}

function plansOf(folder: string, certificatePem: string, keyPem: string): readonly Plan[] {
  const v4: Bind = { kind: 'tcp', host: '127.0.0.1', port: 0 };
  const tls: Bind = { kind: 'tls', host: '127.0.0.1', port: 0, certificatePem, keyPem };
  const unix = (name: string): Bind => ({
    kind: 'unix',
    path: join(folder, name),
    mode: socketMode,
  });
  const everybody = { hosts: undefined } as const;
  const balancer = { hosts: undefined, trustedProxies: ['127.0.0.1'], onlyTrustedProxies: true };
  return [
    { name: 'gateway v4', kind: 'gateway', bind: v4 },
    { name: 'gateway v6', kind: 'gateway', bind: { kind: 'tcp', host: '::1', port: 0 } },
    {
      name: 'serve',
      kind: 'serve',
      bind: unix('serve.sock'),
      options: { believedHeaders: serveHeaders },
    },
    { name: 'control socket', kind: 'control-socket', bind: unix('control.sock') },
    { name: 'admin', kind: 'admin', bind: v4 },
    { name: 'public tls', kind: 'public', bind: tls, options: everybody },
    { name: 'public plain', kind: 'public', bind: v4, options: balancer },
  ];
}

let requests = 0;

function optionsOf(plan: Plan): ListenerOptions {
  return {
    kind: plan.kind,
    bind: plan.bind,
    handler: echoHandler,
    hosts: ownNames,
    trustedProxies: [],
    onlyTrustedProxies: false,
    believedHeaders: [],
    newRequestId: () => `req_${(requests += 1)}`,
    nowMs: Date.now,
    ...plan.options,
  };
}

function doorOf(bind: Bind, listener: Listener, caPem: string): Door {
  if (bind.kind === 'unix') return { kind: 'unix', path: bind.path };
  const at = { host: bind.host, port: listener.port ?? 0 };
  return bind.kind === 'tls' ? { kind: 'tls', ...at, caPem } : { kind: 'tcp', ...at };
}
