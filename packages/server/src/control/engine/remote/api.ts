import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { Egress, OutboundRequest } from '../../../http/index.ts';
import { sendFresh } from '../../../http/index.ts';

/** A status or a node list of thousands of machines stays below; a policy too. */
const answerBytesMax = 16 * 1_048_576;
const timeouts = {
  connectMs: 3_000,
  firstByteMs: 15_000,
  idleMs: 15_000,
  totalMs: 30_000,
} as const;
/** Reads are repeated while the engine restarts: within about two seconds. */
const pausesMs = [200, 600, 1_200] as const;
/** A longer wait is the caller's to decide. */
const retryAfterMsMax = 2_000;
const saidCharsMax = 300;

export interface RemoteApiOptions {
  /** `Headscale at http://vpn.internal:8080`: begins every sentence about it. */
  readonly name: string;
  readonly base: URL;
  readonly egress: Egress;
  /** Sleeps. */
  readonly wait: (ms: number) => Promise<void>;
  /** The credential as headers. `anew`: the last one was refused. */
  readonly authorize: (anew: boolean) => Promise<Result<Readonly<Record<string, string>>, Refusal>>;
  /** Whether a credential that was refused can be had anew. */
  readonly renews: boolean;
  /** What to do about a refused credential, as a sentence. */
  readonly credentialFix: string;
  /** What to look at where it cannot be reached, as a sentence. */
  readonly addressFix: string;
}

export interface RemoteCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** After the base, encoded, with its query. */
  readonly path: string;
  readonly json?: unknown;
  /** A body that is not JSON. */
  readonly text?: { readonly type: string; readonly body: string };
  readonly accept?: string;
  readonly ifMatch?: string;
}

export interface RemoteAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** The HTTP API of somebody else's engine: every failure is a sentence that says whose it is and what to do. */
export class RemoteApi {
  readonly name: string;
  readonly #options: RemoteApiOptions;

  constructor(options: RemoteApiOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Answers of 200 to 299; everything else is a refusal. Reads are repeated while nothing can be had. */
  async call(call: RemoteCall): Promise<Result<RemoteAnswer, Refusal>> {
    const answered = await this.ask(call);
    return answered.ok ? this.judge(answered.value) : answered;
  }

  /** An answer of 200 to 299, or the refusal that another one is. */
  judge(answer: RemoteAnswer): Result<RemoteAnswer, Refusal> {
    return isFine(answer.status) ? ok(answer) : err(this.#refusalOf(answer));
  }

  /** The same with every status as an answer, but for refused credentials. */
  async ask(call: RemoteCall): Promise<Result<RemoteAnswer, Refusal>> {
    let last = await this.#once(call, false);
    if (last.ok && last.value.status === 401 && this.#options.renews) {
      last = await this.#once(call, true);
    }
    for (const pauseMs of call.method === 'GET' ? pausesMs : []) {
      const waitMs = againAfterMs(last, pauseMs);
      if (waitMs === undefined) break;
      await this.#options.wait(waitMs);
      last = await this.#once(call, false);
    }
    if (last.ok && last.value.status === 401) return err(this.#refusalOf(last.value));
    return last;
  }

  async #once(call: RemoteCall, anew: boolean): Promise<Result<RemoteAnswer, Refusal>> {
    const { egress, base, authorize } = this.#options;
    const credential = await authorize(anew);
    if (!credential.ok) return credential;
    const body = call.json === undefined ? call.text?.body : JSON.stringify(call.json);
    const type = call.json === undefined ? call.text?.type : 'application/json';
    const request: OutboundRequest = {
      method: call.method,
      url: new URL(call.path, base),
      headers: {
        accept: call.accept ?? 'application/json',
        'user-agent': 'postern',
        ...(type === undefined ? {} : { 'content-type': type }),
        ...(call.ifMatch === undefined ? {} : { 'if-match': call.ifMatch }),
        ...credential.value,
      },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(timeouts.totalMs),
      timeouts,
      // The operator wrote this address.
      permission: { internal: true },
    };
    const sent = await sendFresh(egress, request);
    if (!sent.ok) return err(this.unreachable(sent.error));
    const { status, headers } = sent.value;
    const bytes = await sent.value.readAll(answerBytesMax);
    if (!bytes.ok) return err(this.unreachable(bytes.error));
    return ok({ status, headers, text: new TextDecoder().decode(bytes.value) });
  }

  unreachable({ code, message, detail }: Refusal): Refusal {
    const { name, addressFix } = this.#options;
    const kept =
      code === 'upstream_timeout' || code === 'egress_refused' ? code : 'upstream_unavailable';
    const cause = detail?.['cause'];
    const why = typeof cause === 'string' ? `${message}, ${cause}` : message;
    const sentence = `${name} cannot be reached (${why}). ${addressFix}`;
    return refusal(kept, sentence, detail === undefined ? {} : { detail });
  }

  /** An answer that is not what this API gives. */
  odd(what: string): Result<never, Refusal> {
    return refuse(
      'upstream_error',
      `${this.name} answers ${what}: is it really one, and of a release that Postern knows?`,
    );
  }

  #refusalOf({ status, headers, text }: RemoteAnswer): Refusal {
    const { name, credentialFix } = this.#options;
    const said = messageOf(text);
    const words = said === '' ? '' : `: ${said}`;
    const options = { detail: { status } };
    switch (status) {
      case 401:
        return refusal(
          'upstream_credential',
          `${name} refuses the credential${words}. It is wrong, expired or revoked. ${credentialFix}`,
          options,
        );
      case 403:
        return refusal(
          'upstream_credential',
          `${name} does not allow this to the credential${words}. ${credentialFix}`,
          options,
        );
      case 404:
        return refusal('not_found', said === '' ? `${name} does not have it.` : `${name}${words}`);
      case 409:
      case 412:
      case 501:
        return refusal('conflict', `${name}${words === '' ? ' refuses this' : words}`);
      case 400:
      case 422:
        return refusal('invalid_request', `${name} refuses this${words}`);
      case 429:
        return refusal('upstream_rate_limited', `${name} limits its callers${words}`, {
          ...options,
          ...retryOf(headers),
        });
      default:
        return refusal('upstream_error', `${name} answered ${status}${words}`, options);
    }
  }
}

function isFine(status: number): boolean {
  return status >= 200 && status < 300;
}

/** Undefined: another try would not help. */
function againAfterMs(last: Result<RemoteAnswer, Refusal>, pauseMs: number): number | undefined {
  if (!last.ok) return last.error.code === 'upstream_unavailable' ? pauseMs : undefined;
  const { status, headers } = last.value;
  if (status === 429) {
    const { retryAfterMs = pauseMs } = retryOf(headers);
    return retryAfterMs <= retryAfterMsMax ? retryAfterMs : undefined;
  }
  return status === 502 || status === 503 || status === 504 ? pauseMs : undefined;
}

function retryOf(headers: Readonly<Record<string, string>>): { readonly retryAfterMs?: number } {
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1_000 } : {};
}

/** The sentence in an error body: of Tailscale and Headscale 0.30, of grpc-gateway, of RFC 9457, or the text itself. */
export function messageOf(text: string): string {
  let said = text;
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null) {
      said =
        ['message', 'detail', 'title', 'error_description', 'error']
          .map((name): unknown => Reflect.get(body, name))
          .find((value): value is string => typeof value === 'string' && value !== '') ?? '';
      said = [said, ...errorsOf(Reflect.get(body, 'data'))].join('; ');
    }
  } catch {
    // Plain text then.
  }
  return oneLine(said);
}

/** What the parts of an error are about: `data` of API v2. */
export function errorsOf(data: unknown): readonly string[] {
  if (!Array.isArray(data)) return [];
  return data.flatMap((each: unknown) => {
    if (typeof each !== 'object' || each === null) return [];
    const user: unknown = Reflect.get(each, 'user');
    const about = typeof user === 'string' && user !== '' ? `${user}: ` : '';
    return ['errors', 'warnings'].flatMap((name) => {
      const list: unknown = Reflect.get(each, name);
      if (!Array.isArray(list)) return [];
      return list.filter((one) => typeof one === 'string').map((one) => `${about}${one}`);
    });
  });
}

/** Words of another program, fit for a sentence of ours: one line, not long, no key in it. */
function oneLine(text: string): string {
  return text
    .replaceAll(/\b(?:tskey|hskey|pst)[-_][A-Za-z0-9_-]+/g, '…')
    .replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ')
    .trim()
    .replace(/[.;:\s]+$/, '')
    .slice(0, saidCharsMax);
}
