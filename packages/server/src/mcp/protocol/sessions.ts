import type { AuthInfo, Server } from '@modelcontextprotocol/server';
import { WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server';
import { mcpLimits } from '../limits.ts';

export interface SessionsOptions {
  readonly create: () => Server;
  readonly newSessionId: () => string;
  readonly nowMs: () => number;
  readonly onError: (error: Error) => void;
}

interface Session {
  readonly principal: string;
  readonly transport: WebStandardStreamableHTTPServerTransport;
  readonly server: Server;
  usedAtMs: number;
}

/**
 * Sessions of clients that open with `initialize`, as revisions before 2026-07-28 have them: only in a session can a
 * person behind such a client be asked anything. A session is no credential: each request is identified anew, and a
 * session of somebody else is as unknown as one that never was.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #byId = new Map<string, Session>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  async answer(request: Request, authInfo: AuthInfo, principal: string): Promise<Response> {
    this.#forget();
    const id = request.headers.get('mcp-session-id');
    if (id === null) return this.#begin(request, authInfo, principal);
    const session = this.#byId.get(id);
    if (session?.principal !== principal) return unknownSession();
    session.usedAtMs = this.#options.nowMs();
    return session.transport.handleRequest(request, { authInfo });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#byId.keys()].map((id) => this.#end(id)));
  }

  /** A request without a session opens one, if it is one that may: the transport judges. */
  async #begin(request: Request, authInfo: AuthInfo, principal: string): Promise<Response> {
    if (request.method !== 'POST') return notAllowed();
    const server = this.#options.create();
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: this.#options.newSessionId,
      maxRequestBodySize: mcpLimits.bodyBytesMax,
      onsessioninitialized: (id) => {
        this.#makeRoom(principal);
        const usedAtMs = this.#options.nowMs();
        this.#byId.set(id, { principal, transport, server, usedAtMs });
      },
      onsessionclosed: (id) => {
        this.#byId.delete(id);
      },
    });
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- it is no event target
    transport.onerror = this.#options.onError;
    await server.connect(transport);
    const response = await transport.handleRequest(request, { authInfo });
    // Refused by the transport: nothing of it stays.
    if (transport.sessionId === undefined) await server.close();
    return response;
  }

  #makeRoom(principal: string): void {
    const own = [...this.#byId].filter(([, session]) => session.principal === principal);
    const [first] = own.length >= mcpLimits.sessionsPerPrincipalMax ? own : [...this.#byId];
    const isFull =
      own.length >= mcpLimits.sessionsPerPrincipalMax || this.#byId.size >= mcpLimits.sessionsMax;
    if (isFull && first !== undefined) void this.#end(first[0]);
  }

  #forget(): void {
    const before = this.#options.nowMs() - mcpLimits.sessionIdleMsMax;
    for (const [id, { usedAtMs }] of this.#byId) if (usedAtMs < before) void this.#end(id);
  }

  async #end(id: string): Promise<void> {
    const session = this.#byId.get(id);
    this.#byId.delete(id);
    await session?.server.close();
  }
}

function unknownSession(): Response {
  return failure(404, -32_001, 'Session not found');
}

function notAllowed(): Response {
  return failure(405, -32_000, 'Method not allowed.');
}

function failure(status: number, code: number, message: string): Response {
  const body = JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null });
  return new Response(body, { status, headers: { 'content-type': 'application/json' } });
}
