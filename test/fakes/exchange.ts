import type { Result } from '@postern/core/base';
import { ok, utf8 } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type {
  HeaderLines,
  HttpReply,
  HttpRequest,
  HttpStream,
  ResponseHeaders,
} from '@postern/server/http';
import { pairsOf } from '@postern/server/http';

export interface FakeRequestOptions {
  readonly method?: string;
  readonly path?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text goes as it is, other values as JSON; a promise is a body that is still on its way. */
  readonly body?: unknown;
  readonly receivedAtMs?: number;
}

export interface FakeExchange {
  readonly request: HttpRequest;
  readonly reply: FakeReply;
  /** The caller goes away. */
  leave(): void;
}

/** One request as a listener hands it over, and its answer as the caller sees it. */
export function createFakeExchange(options: FakeRequestOptions = {}): FakeExchange {
  const abort = new AbortController();
  const headers = new Map(Object.entries(options.headers ?? {}));
  const reply = new FakeReply(() => abort.abort());
  return {
    reply,
    leave: () => abort.abort(),
    request: {
      id: 'req-1',
      listener: 'gateway',
      method: options.method ?? 'POST',
      path: options.path ?? '/v1/chat/completions',
      query: options.query ?? '',
      headers: {
        get: (name) => headers.get(name),
        has: (name) => headers.has(name),
        entries: () => headers.entries(),
      },
      peer: {
        transport: 'tcp',
        address: '127.0.0.1',
        port: 1,
        localAddress: '10.0.0.1',
        localPort: 2,
      },
      clientAddress: '127.0.0.1',
      sawForwarding: false,
      sawIdentityHeaders: false,
      evidence: undefined,
      receivedAtMs: options.receivedAtMs ?? 1_000_000,
      signal: abort.signal,
      readBody: () => bodyOf(options.body),
    },
  };
}

async function bodyOf(body: unknown): Promise<Result<Uint8Array, Refusal>> {
  const value = await body;
  if (value === undefined) return ok(new Uint8Array());
  return ok(utf8(typeof value === 'string' ? value : JSON.stringify(value)));
}

/** The caller's end of an answer. It can stop reading, and go on. */
export class FakeReply implements HttpReply {
  status = 0;
  headers: ResponseHeaders = {};
  text = '';
  /** How the answer ended, if it did. */
  end: 'clean' | 'cut' | undefined;
  readonly #gone: () => void;
  #stalled: PromiseWithResolvers<void> | undefined;
  #added: ResponseHeaders = {};

  constructor(gone: () => void) {
    this.#gone = gone;
  }

  get started(): boolean {
    return this.status !== 0;
  }

  get sent(): { readonly status: number; readonly bytes: number } {
    return { status: this.status, bytes: this.text.length };
  }

  add(lines: HeaderLines): void {
    this.#added = Object.fromEntries(pairsOf(lines));
  }

  send(status: number, headers: ResponseHeaders, body: Uint8Array | string): void {
    this.#head(status, headers);
    this.text = typeof body === 'string' ? body : new TextDecoder().decode(body);
    this.end = 'clean';
  }

  start(status: number, headers: ResponseHeaders): HttpStream {
    this.#head(status, headers);
    return {
      write: async (bytes) => {
        if (this.end !== undefined) return false;
        this.text += new TextDecoder().decode(bytes);
        await this.#stalled?.promise;
        return this.end === undefined;
      },
      end: () => {
        this.end ??= 'clean';
      },
      destroy: () => {
        this.end ??= 'cut';
        this.#gone();
      },
    };
  }

  /** From now on nothing is taken: writes wait. */
  stall(): void {
    this.#stalled = Promise.withResolvers();
  }

  /** Takes what waits; `false` means that the listener gave this caller up. */
  resume(isAlive = true): void {
    if (!isAlive) this.end = 'cut';
    this.#stalled?.resolve();
    this.#stalled = undefined;
  }

  #head(status: number, headers: ResponseHeaders): void {
    if (this.started) throw new Error('a request is answered once');
    this.status = status;
    this.headers = { ...this.#added, ...headers };
  }
}
