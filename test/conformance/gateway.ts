import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JsonValue } from '@postern/core/base';
import { resolveSettings, start } from '@postern/server/app';
import { createLogger } from '@postern/server/observe';

/** Keys as a policy can name them, each by a tag of its own name; `tag:key` is every key. */
export function keysAsTags(...names: readonly string[]): { readonly map: readonly JsonValue[] } {
  const named = names.map((name) => ({ key: name, as: [`tag:${name}`] }));
  return { map: [...named, { key: '*', as: ['tag:key'] }] };
}

/** A policy that grants each of these selectors one object of `cap/ai`. */
export function granting(grants: Readonly<Record<string, JsonValue>>): string {
  const tags = Object.keys(grants).filter((src) => src.startsWith('tag:'));
  return JSON.stringify({
    tagOwners: Object.fromEntries([...tags, 'tag:gateway'].map((tag) => [tag, []])),
    grants: Object.entries(grants).map(([src, object]) => ({
      src: [src],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [object] },
    })),
  });
}

/** Every key may call every model. */
export const everyKey = granting({ 'tag:key': { models: ['**'] } });

/** A whole Postern on free ports, as `postern up` starts it, with its log in memory. */
export interface TestGateway {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly stateDir: string;
  readonly log: readonly Record<string, unknown>[];
  readonly address: (kind: string) => string;
  /** Calls the admin API over the control socket. */
  control(
    method: string,
    route: string,
    body?: JsonValue,
  ): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>;
  /** Makes a key and gives its secret. */
  key(name: string, scope?: JsonValue): Promise<string>;
  /** Waits for the log line of a request, or of any request that fits. */
  logged(fits: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

export interface TestGatewayOptions {
  /** The configuration file's content; undefined starts in zero-config. */
  readonly config?: Record<string, unknown>;
  /** The policy file beside it, which comes into force with the start. Without one nobody may call anything. */
  readonly policy?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stateDir?: string;
}

export async function startGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const stateDir = options.stateDir ?? (await mkdtemp(path.join(tmpdir(), 'postern-test-')));
  const env = { PORT: '0', POSTERN_ADMIN_ADDR: '127.0.0.1:0', ...options.env };
  if (options.config !== undefined) {
    await writeFile(path.join(stateDir, 'postern.hujson'), JSON.stringify(options.config), {
      mode: 0o600,
    });
  }
  if (options.policy !== undefined) {
    await writeFile(path.join(stateDir, 'policy.hujson'), options.policy, { mode: 0o600 });
  }
  const log: Record<string, unknown>[] = [];
  const logger = createLogger({
    level: 'debug',
    format: 'json',
    // The logger writes one JSON object a line.
    write: (line) => log.push(JSON.parse(line) as Record<string, unknown>),
  });
  const started = await start({
    settings: resolveSettings({ state: stateDir }, env),
    logger,
    version: 'test',
  });
  if (!started.ok) throw new Error(started.error.message);
  const running = started.value;
  const port =
    running.listeners.find(({ kind, address }) => kind === 'gateway' && address.startsWith('127.'))
      ?.port ?? 0;
  const control = (method: string, route: string, body?: JsonValue) =>
    callSocket(running.controlSocket, {
      method,
      path: route,
      ...(body === undefined ? {} : { body }),
    });
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    stateDir,
    log,
    address: (kind) => running.listeners.find((listener) => listener.kind === kind)?.address ?? '',
    control,
    key: async (name, scope = {}) => {
      const made = await control('POST', '/api/v1/keys', { name, scope });
      if (made.status !== 201) throw new Error(JSON.stringify(made.body));
      return String(made.body['secret']);
    },
    logged: (fits) => waitFor(() => log.find(fits)),
    stop: async () => {
      const done = running.stop();
      void running.stop();
      await done;
      if (options.stateDir === undefined)
        await rm(stateDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface SocketCall {
  readonly method: string;
  readonly path: string;
  readonly body?: JsonValue;
}

function callSocket(
  socketPath: string,
  call: SocketCall,
): Promise<{ status: number; body: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        socketPath,
        method: call.method,
        path: call.path,
        headers: { host: 'localhost' },
        // A connection of its own, as the command line makes it.
        agent: false,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        // The admin API answers with JSON objects only.
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: JSON.parse(text) as Record<string, unknown>,
          }),
        );
      },
    );
    request.on('error', reject);
    request.end(call.body === undefined ? undefined : JSON.stringify(call.body));
  });
}

export async function waitFor<T>(look: () => T | undefined, ms = 5_000): Promise<T> {
  const end = performance.now() + ms;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error('it did not happen in time');
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}
