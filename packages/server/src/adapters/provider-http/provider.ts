import type { JsonValue, Result } from '@postern/core/base';
import { isJsonObject, ok, readJson } from '@postern/core/base';
import type { DialectName } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { ModelInfo } from '@postern/core/routing';
import type { Provider, ProviderCall, ProviderRules } from '../../gateway/index.ts';
import { gatewayLimits } from '../../gateway/index.ts';
import type {
  Egress,
  OutboundAnswer,
  OutboundProxy,
  OutboundRequest,
  OutboundTimeouts,
} from '../../http/index.ts';
import { sendFresh } from '../../http/index.ts';
import type { AuthoritiesReader, SecretReader, WayReader } from './ports.ts';

/** What sets one kind of HTTP provider apart from another: how it is signed on to and how it lists. */
export interface HttpProviderKind {
  /** The credential as headers. */
  authorize(key: string): Readonly<Record<string, string>>;
  /** Headers of every request, before the caller's own format headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly listPath: string;
  /** The page after this one, as a query; undefined when it was the last. */
  nextPage(body: JsonValue): string | undefined;
  readModel(entry: JsonValue): ModelInfo | undefined;
}

export interface HttpProviderOptions {
  readonly id: string;
  readonly kind: HttpProviderKind;
  readonly baseUrl: string;
  /**
   * Base URLs of the machines that run it now, asked anew for each request: a registry may add and remove them while
   * requests run. Absent: `baseUrl` alone.
   */
  readonly endpoints?: () => readonly string[];
  readonly dialects: readonly DialectName[];
  readonly sendsUnlisted: boolean;
  readonly countsTokens: boolean;
  readonly key: SecretReader | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly authorities?: AuthoritiesReader | undefined;
  readonly way?: WayReader | undefined;
  readonly timeouts: OutboundTimeouts;
  readonly maxOutputTokens: number | undefined;
  /**
   * The operator wrote this address, or detection found it on loopback: that is the permission to reach internal
   * addresses through it. The vendors' own addresses have none, whatever their names resolve to.
   */
  readonly internal: boolean;
  /** Absent: no bounds, no breaker, no repetitions. */
  readonly rules?: ProviderRules;
  /** Path from the root of the server that is answered with 200 when it is well; undefined: its list. */
  readonly healthPath?: string | undefined;
  readonly egress: Egress;
}

/** Pages of a model list; a server that says "more" for ever is cut off here. */
const pagesMax = 20;
/** A redirect of a model list is no answer; only 200 is. */
const okStatus = 200;

export function createHttpProvider(options: HttpProviderOptions): Provider {
  const base = withoutSlash(options.baseUrl);
  const { endpoints } = options;
  /** Where a call goes that names no place: to the first that is there. */
  const baseOf = (endpoint = ''): string => {
    const at = endpoint === '' ? endpoints?.()[0] : endpoint;
    return at === undefined ? base : withoutSlash(at);
  };

  const { key, way, authorities } = options;
  const urls = new LastUrl();
  const headers = new LastHeaders({ ...options.kind.headers, ...options.headers });
  const permission = { internal: options.internal };

  /** Most servers of one's own need none of what is read afresh for each request. */
  function request(part: Part): Promise<Result<OutboundAnswer, Refusal>> {
    return key === undefined && way === undefined && authorities === undefined
      ? send(part, none, undefined, undefined)
      : prepared(part);
  }

  async function prepared(part: Part): Promise<Result<OutboundAnswer, Refusal>> {
    const authorization = await authorize(options);
    if (!authorization.ok) return authorization;
    const via = await way?.(part.url);
    if (via?.ok === false) return via;
    const caPem = await authorities?.();
    return send(part, authorization.value, via?.value, caPem);
  }

  function send(
    part: Part,
    authorization: Readonly<Record<string, string>>,
    via: OutboundProxy | undefined,
    caPem: string | undefined,
  ): Promise<Result<OutboundAnswer, Refusal>> {
    return sendFresh(options.egress, {
      method: part.method,
      url: part.url,
      headers: headers.of(part.headers, authorization),
      body: part.body,
      signal: part.signal,
      timeouts: options.timeouts,
      permission,
      caPem,
      via,
    });
  }

  const get = (url: URL, signal: AbortSignal): Promise<Result<OutboundAnswer, Refusal>> =>
    request({ method: 'GET', url, headers: { accept: 'application/json' }, signal });

  return {
    id: options.id,
    ...(options.rules === undefined ? {} : { rules: options.rules }),
    ...(endpoints === undefined ? {} : { endpoints }),
    dialects: options.dialects,
    sendsUnlisted: options.sendsUnlisted,
    countsTokens: options.countsTokens,
    place: new URL(base).host,
    call: (call: ProviderCall) =>
      request({
        method: 'POST',
        url: urls.of(baseOf(call.endpoint), call.path),
        body: call.bytes ?? call.body,
        headers: isEmpty(call.headers) ? usualHeaders : { ...usualHeaders, ...call.headers },
        signal: call.signal,
      }),
    list: (signal) => listModels(options, (path) => get(new URL(baseOf() + path), signal)),
    check: async (endpoint, signal) => {
      const at = baseOf(endpoint);
      const path = options.healthPath;
      const url = new URL(path === undefined ? at + options.kind.listPath : path, at);
      const got = await get(url, signal);
      if (!got.ok) return got;
      // What it says does not matter, and a list may be long.
      got.value.cancel();
      return got.value.status === okStatus ? ok(undefined) : refuseCheck(got.value.status);
    },
  };
}

type Part = Pick<OutboundRequest, 'method' | 'signal'> & {
  readonly url: URL;
  readonly body?: string | Uint8Array | undefined;
  readonly headers: Readonly<Record<string, string>>;
};

type Headers = Readonly<Record<string, string>>;

const none: Headers = Object.freeze({});
const usualHeaders: Headers = Object.freeze({
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
});

function isEmpty(headers: Headers): boolean {
  for (const _ in headers) return false;
  return true;
}

/** The headers of the call before: most calls have the same ones, and whoever writes heads knows them again. */
class LastHeaders {
  readonly #always: Headers;
  #own: Headers | undefined;
  #authorization: Headers | undefined;
  #merged: Headers = none;

  constructor(always: Headers) {
    this.#always = always;
  }

  of(own: Headers, authorization: Headers): Headers {
    if (this.#own === own && this.#authorization === authorization) return this.#merged;
    const merged = Object.freeze({ ...this.#always, ...own, ...authorization });
    if (own !== usualHeaders) return merged;
    this.#own = own;
    this.#authorization = authorization;
    this.#merged = merged;
    return merged;
  }
}

/** The URL of the call before: most calls go to the same one, and reading it costs as much as sending to it. */
class LastUrl {
  #base = '';
  #path = '';
  #url: URL | undefined;

  of(base: string, path: string): URL {
    if (this.#url !== undefined && this.#base === base && this.#path === path) return this.#url;
    this.#url = new URL(base + path);
    this.#base = base;
    this.#path = path;
    return this.#url;
  }
}

async function authorize(
  options: HttpProviderOptions,
): Promise<Result<Readonly<Record<string, string>>, Refusal>> {
  if (options.key === undefined) return ok({});
  const key = await options.key();
  return key.ok ? ok(options.kind.authorize(key.value.reveal())) : key;
}

async function listModels(
  options: HttpProviderOptions,
  get: (path: string) => Promise<Result<OutboundAnswer, Refusal>>,
): Promise<Result<readonly ModelInfo[], Refusal>> {
  const models: ModelInfo[] = [];
  let query: string | undefined = '';
  for (let page = 0; page < pagesMax && query !== undefined; page += 1) {
    const body = await readPage(options.id, await get(options.kind.listPath + query));
    if (!body.ok) return body;
    const entries = isJsonObject(body.value) ? body.value['data'] : undefined;
    if (!Array.isArray(entries)) return refuseList(options.id, 'something that is not a list');
    // Array.isArray leaves `any[]` of what is JSON.
    for (const entry of entries as readonly JsonValue[]) {
      const model = options.kind.readModel(entry);
      if (model !== undefined) models.push(withCap(model, options.maxOutputTokens));
      if (models.length >= gatewayLimits.modelsPerProviderMax) return ok(models);
    }
    query = options.kind.nextPage(body.value);
  }
  return ok(models);
}

function refuseCheck(status: number): Result<never, Refusal> {
  return refuse('upstream_error', `The health check was answered with status ${status}.`, {
    detail: { upstreamStatus: status },
  });
}

function withCap(model: ModelInfo, maxOutputTokens: number | undefined): ModelInfo {
  return maxOutputTokens === undefined ? model : { ...model, maxOutputTokens };
}

async function readPage(
  id: string,
  got: Result<OutboundAnswer, Refusal>,
): Promise<Result<JsonValue, Refusal>> {
  if (!got.ok) return got;
  const answer = got.value;
  if (answer.status !== okStatus) {
    answer.cancel();
    if (answer.status === 401 || answer.status === 403) {
      return refuse(
        'upstream_credential',
        `Provider "${id}" refuses the credential of the gateway (status ${answer.status}).`,
      );
    }
    return refuse(
      'upstream_error',
      `Provider "${id}" does not list its models (status ${answer.status}).`,
    );
  }
  const bytes = await answer.readAll(gatewayLimits.modelListBytesMax);
  if (!bytes.ok) return bytes;
  const parsed = readJson(bytes.value);
  return parsed.ok ? parsed : refuseList(id, 'something that is not JSON');
}

function refuseList(id: string, what: string): Result<never, Refusal> {
  return refuse('upstream_error', `Provider "${id}" lists its models in ${what}.`);
}

function withoutSlash(url: string): string {
  return url.endsWith('/') ? url.replace(/\/+$/, '') : url;
}
