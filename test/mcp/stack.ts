/**
 * The product's own way from a socket to the desk, around a state in memory: listener, handler, protocol, desk and
 * operations are those of a release. What differs is who is believed (a header that tests set) and what may be mounted
 * before the surface.
 */
import { randomBytes } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Caller, Principal } from '@postern/core/identity';
import type { Inventory } from '@postern/core/policy';
import { GatewayAccess, parsePolicyText } from '@postern/core/policy';
import { noProtection } from '@postern/core/policy/change';
import { currentPolicy } from '@postern/core/state';
import type { OperationContext } from '../../packages/server/src/control/api/index.ts';
import type { Control, ControlLine } from '../../packages/server/src/control/index.ts';
import { createControl } from '../../packages/server/src/control/index.ts';
import type { NetworkDesk } from '../../packages/server/src/control/network/index.ts';
import type { Protection } from '@postern/core/policy/change';
import { openListener } from '../../packages/server/src/http/index.ts';
import type { ToolLine, Visitor } from '../../packages/server/src/mcp/index.ts';
import { createDesk, mcpHttpHandler } from '../../packages/server/src/mcp/index.ts';
import type { Ask, Surface } from '../../packages/server/src/mcp/protocol/index.ts';
import {
  createProtocolHttp,
  deskSurface,
  visitorOf,
} from '../../packages/server/src/mcp/protocol/index.ts';
import type { ProtocolHttp } from '../../packages/server/src/mcp/protocol/index.ts';
import { createMemoryDisk, openMemoryStore } from '../fakes/store-memory.ts';
import { createFakeSystem } from '../fakes/system.ts';

export interface Stack {
  readonly url: string;
  readonly port: number;
  readonly control: Control;
  readonly context: OperationContext;
  readonly system: ReturnType<typeof createFakeSystem>;
  readonly protocol: ProtocolHttp;
  /** Lines of operations and of calls, in the order in which they came. */
  readonly lines: ControlLine[];
  readonly toolLines: ToolLine[];
  readonly files: Map<string, string>;
  readonly faults: unknown[];
  desk: ReturnType<typeof createDesk>;
  close(): Promise<void>;
}

export interface StackOptions {
  readonly callers?: Readonly<Record<string, Principal>>;
  readonly policy?: string;
  readonly inventory?: Inventory;
  readonly protection?: Protection;
  readonly isReadOnly?: () => boolean;
  readonly issuers?: readonly string[];
  readonly models?: readonly string[];
  /** What every machine says that it is called. */
  readonly hostname?: string;
  readonly mount?: (product: Surface, protocol: () => ProtocolHttp) => Surface;
}

export const callerHeader = 'authorization';

export const owner: Principal = {
  authority: 'local',
  id: 'uid:1000',
  kind: 'operator',
  display: 'root',
  selectors: [],
};

export function person(login: string): Principal {
  return { authority: 'tailnet', id: login, kind: 'user', display: login, selectors: [login] };
}

export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { callers = { owner } } = options;
  const store = openMemoryStore(createMemoryDisk());
  if (!store.ok) throw new Error('no store');
  const system = createFakeSystem();
  const lines: ControlLine[] = [];
  const toolLines: ToolLine[] = [];
  const faults: unknown[] = [];
  const files = new Map<string, string>();
  const made = await createControl({
    store: store.value,
    system,
    record: (line) => lines.push(line),
  });
  if (!made.ok) throw new Error('no control');
  const control = made.value;
  const context = contextOf(control, options);
  if (options.policy !== undefined) await putInForce(context, options.policy);
  const desk = createDesk(
    {
      operations: () => Promise.resolve(context),
      record: (line) => toolLines.push(line),
      keepFile: (name, secret) => {
        files.set(name, secret);
        return Promise.resolve(ok(`/state/handoff/${name}.key`));
      },
      isReadOnly: options.isReadOnly ?? (() => false),
      onFault: (fault) => faults.push(fault),
    },
    () => randomBytes(32).toString('hex'),
  );
  const named = (ask: Ask, client: string | undefined): Visitor => ({
    ...visitorOf(ask),
    ...(client === undefined ? {} : { client }),
  });
  const product = deskSurface({
    list: (ask, client) => Promise.resolve(desk.list(named(ask, client))),
    call: (ask, client, call) => desk.call(named(ask, client), call),
    read: (ask, client, uri) => desk.read(named(ask, client), uri),
  });
  const mounted = (): ProtocolHttp => protocol;
  const protocol: ProtocolHttp = createProtocolHttp({
    surface: options.mount?.(product, mounted) ?? product,
    version: '0.0.0',
    newSessionId: () => randomBytes(32).toString('hex'),
    nowMs: system.nowMs,
    onError: () => undefined,
  });
  const identify = (request: {
    readonly headers: { get(name: string): string | undefined };
  }): Promise<Result<Caller, Refusal>> => {
    const name = (request.headers.get(callerHeader) ?? 'Bearer owner').replace(/^Bearer /, '');
    const subject = callers[name];
    return Promise.resolve(
      subject === undefined
        ? err({ code: 'credential_invalid', message: 'Nobody knows this credential.' })
        : ok({ subject }),
    );
  };
  const handler = mcpHttpHandler({
    desk,
    protocol,
    identify,
    permit: (caller, operation) => {
      if (caller.subject.authority === 'local') return ok(undefined);
      const text = currentPolicy(control.snapshot().policy)?.text ?? '{"grants": []}';
      const access = new GatewayAccess(parsePolicyText(text).file, {
        revision: '',
        point: undefined,
        inventory: context.policy.tools.ports.inventory(),
      }).accessOf(caller.subject);
      return access.decideAdmin(operation).allowed
        ? ok(undefined)
        : refuse('access_denied', `You may not use ${operation}.`);
    },
    scheme: () => 'http',
    issuers: () => options.issuers ?? [],
  });
  let requests = 0;
  const opened = await openListener({
    kind: 'admin',
    bind: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    handler,
    hosts: ['localhost', '127.0.0.1', '::1'],
    trustedProxies: [],
    onlyTrustedProxies: false,
    believedHeaders: [],
    newRequestId: () => {
      requests += 1;
      return `req-${requests}`;
    },
    nowMs: () => performance.now(),
    onFault: (fault) => faults.push(fault),
  });
  if (!opened.ok) throw new Error(opened.error.message);
  const { port } = opened.value;
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    port: port ?? 0,
    control,
    context,
    system,
    protocol,
    lines,
    toolLines,
    files,
    faults,
    desk,
    close: async () => {
      await mounted().close();
      await opened.value.close(0);
      await control.close();
    },
  };
}

function contextOf(control: Control, options: StackOptions): OperationContext {
  return {
    control,
    checkConfig: () => [],
    backupsDir: '/nowhere',
    runtime: () => {
      throw new Error('not in this test');
    },
    models: () => ({
      items: (options.models ?? ['instant']).map((name) => ({
        name,
        state: 'ready' as const,
        targets: ['builtin/eliza'],
      })),
      providers: [{ id: 'builtin', models: 1, problem: null }],
      default_model: 'instant',
    }),
    network: () => deskOf(options.hostname ?? 'box'),
    reload: () => Promise.resolve(err(['not in this test'])),
    money: {
      accounts: () => Promise.resolve(ok([])),
      credit: () => Promise.resolve(ok([])),
      usage: () => Promise.resolve(ok([])),
    },
    audit: {
      tail: () => Promise.resolve(ok({ items: [] })),
      query: () => Promise.resolve(ok({ items: [] })),
      verify: () => Promise.resolve(refuse('not_found', 'not in this test')),
      checkpoint: () => Promise.resolve(refuse('not_found', 'not in this test')),
    },
    policy: {
      alarm: () => undefined,
      tools: {
        control,
        ports: {
          inventory: () => options.inventory ?? { users: [], nodes: [] },
          names: () => ({ limits: new Set(), budgets: new Set() }),
          principalOfKey: ({ id, name }) => ({
            authority: 'key',
            id,
            kind: 'key',
            display: name,
            selectors: [],
          }),
          prepare: () => Promise.resolve(),
          builtIn: () => undefined,
          protection: () => options.protection ?? noProtection,
          candidate: () =>
            Promise.resolve({ file: 'p', text: undefined, problem: undefined, autoApply: false }),
          approved: () => undefined,
        },
      },
    },
  };
}

/** As the first policy of a process comes into force. */
async function putInForce({ policy }: OperationContext, text: string): Promise<void> {
  const { applyPolicyText } = await import('../../packages/server/src/control/policy/index.ts');
  const done = await applyPolicyText(
    policy.tools,
    { what: { text, base: 'none' } },
    { actor: { principal: 'local:uid:1000', channel: 'system' } },
  );
  if (!done.ok) throw new Error(done.error.message);
}

/** A network whose machines report one host name. */
function deskOf(hostname: string): NetworkDesk {
  return {
    url: 'http://127.0.0.1',
    facts: () => ({
      online: true,
      lastSeenMs: undefined,
      os: 'linux',
      clientVersion: '1.0',
      hostname,
      endpoints: [],
      relay: 0,
      advertisedRoutes: [],
    }),
    // What the tests of tools do not ask.
  } as unknown as NetworkDesk;
}
