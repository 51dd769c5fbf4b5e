import type { HttpReply } from '../http/index.ts';

/** One thing that must hold before traffic is sent here. `ok: false` turns /readyz to 503. */
export interface ReadinessCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

/** The state that the health routes tell; asked at every request, so it must be cheap. */
export interface Health {
  readiness(): readonly ReadinessCheck[];
}

const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' } as const;

/** `/health` and `/livez`: the process answers. Never depends on an upstream or on the control plane. */
export function sendAlive(reply: HttpReply): void {
  reply.send(200, headers, '{"status":"ok"}');
}

/** `/readyz`: may traffic be sent here? The checks themselves are shown to administrators alone. */
export function sendReady(reply: HttpReply, health: Health, isVerbose: boolean): void {
  const checks = health.readiness();
  const isReady = checks.every((check) => check.ok);
  const status = isReady ? 'ok' : 'unavailable';
  const body = isVerbose ? { status, checks } : { status };
  reply.send(
    isReady ? 200 : 503,
    isReady ? headers : { ...headers, 'retry-after': '5' },
    JSON.stringify(body),
  );
}

export const healthOperation = 'health.read';
