import type { AuthInfo, McpHttpHandler, ServerNotifier } from '@modelcontextprotocol/server';
import { createMcpHandler, isLegacyRequest } from '@modelcontextprotocol/server';
import { assert } from '@postern/core/base';
import { mcpLimits } from '../limits.ts';
import type { Visitor } from '../ports.ts';
import type { Named } from './server.ts';
import { createProtocolServer } from './server.ts';
import { Sessions } from './sessions.ts';
import type { Ask, Surface } from './surface.ts';

export interface ProtocolHttpOptions extends Named {
  readonly surface: Surface;
  readonly newSessionId: () => string;
  readonly nowMs: () => number;
  readonly onError: (error: Error) => void;
}

/** The protocol over HTTP, both eras behind one path. Who asks was decided before. */
export interface ProtocolHttp {
  /** `principal` names whoever asks: sessions belong to one. */
  answer(request: Request, visitor: Visitor, principal: string): Promise<Response>;
  /** Tells clients that listen (2026-07-28) what has changed. */
  readonly notify: ServerNotifier;
  close(): Promise<void>;
}

/** Visitors travel beside the request, where no client can put anything. */
const visitors = new WeakMap<AuthInfo, Visitor>();

export function visitorOf({ context }: Ask): Visitor {
  const { authInfo } = context.http ?? {};
  const visitor = authInfo === undefined ? undefined : visitors.get(authInfo);
  assert(visitor !== undefined, 'a request over HTTP has a visitor');
  return visitor;
}

export function createProtocolHttp(options: ProtocolHttpOptions): ProtocolHttp {
  const create = () => createProtocolServer(options.surface, options);
  const modern: McpHttpHandler = createMcpHandler(create, {
    legacy: 'reject',
    maxRequestBodySize: mcpLimits.bodyBytesMax,
    maxSubscriptions: mcpLimits.subscriptionsMax,
    onerror: options.onError,
  });
  const sessions = new Sessions({ ...options, create });
  return {
    notify: modern.notify,
    answer: async (request, visitor, principal) => {
      // Tokens stay at the door: what is passed on is a name.
      const authInfo: AuthInfo = { token: '', clientId: principal, scopes: [] };
      visitors.set(authInfo, visitor);
      const isLegacy =
        request.method !== 'POST' ||
        (await isLegacyRequest(request, undefined, { maxRequestBodySize: mcpLimits.bodyBytesMax }));
      return isLegacy
        ? sessions.answer(request, authInfo, principal)
        : modern.fetch(request, { authInfo });
    },
    close: async () => {
      await Promise.all([modern.close(), sessions.close()]);
    },
  };
}
