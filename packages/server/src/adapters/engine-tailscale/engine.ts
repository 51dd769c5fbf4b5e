import type { Result } from '@postern/core/base';
import { ok, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { z } from 'zod';
import type { NetworkEngine } from '../../control/engine/index.ts';
import { capabilitiesOf } from '../../control/engine/index.ts';
import { apiV2, messageOf, RemoteApi } from '../../control/engine/remote/index.ts';
import type { Egress, OutboundTimeouts } from '../../http/index.ts';

/** By what Postern signs on: an API access token, or an OAuth client, whose tokens it fetches. */
export type TailscaleCredential =
  | { readonly kind: 'key'; readonly key: ReadSecret }
  | { readonly kind: 'client'; readonly id: string; readonly secret: ReadSecret };

/** Asked for every use: a secret that was replaced counts at once. */
type ReadSecret = () => Promise<Result<Secret, Refusal>>;

export interface TailscaleEngineOptions {
  /** Of the API. */
  readonly base?: URL;
  /** What machines are told to join. */
  readonly loginServer?: string;
  readonly credential: TailscaleCredential;
  readonly egress: Egress;
  readonly monotonicMs: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

const publicBase = 'https://api.tailscale.com';
const publicLogin = 'https://controlplane.tailscale.com';
/** A token that is about to end is fetched anew before. */
const marginMs = 60_000;
const tokenBytesMax = 65_536;
const timeouts: OutboundTimeouts = {
  connectMs: 3_000,
  firstByteMs: 10_000,
  idleMs: 10_000,
  totalMs: 15_000,
};

/** Tailscale's own network through its API v2. */
export function tailscaleEngine(options: TailscaleEngineOptions): NetworkEngine {
  const { base = new URL(publicBase), credential, egress, wait } = options;
  const name = base.origin === publicBase ? 'Tailscale' : `Tailscale at ${base.origin}`;
  const addressFix = 'Does this machine reach it, and is there a proxy in between?';
  const isKey = credential.kind === 'key';
  const tokens = isKey ? undefined : new TokenSource(credential, { ...options, base, name });
  const api: RemoteApi = new RemoteApi({
    name,
    base,
    egress,
    wait,
    authorize: async (anew) => {
      const token = await (tokens === undefined ? keyOf(credential) : tokens.token(anew));
      return token.ok ? ok({ authorization: `Bearer ${token.value.reveal()}` }) : token;
    },
    renews: !isKey,
    credentialFix: isKey
      ? 'Make another one (Settings, Keys in the admin console) and give it as TS_API_KEY.'
      : 'Look at the OAuth client (Settings, OAuth clients): its scopes, its tags, and TS_CLIENT_ID and TS_CLIENT_SECRET.',
    addressFix,
  });
  const calls = apiV2(api);
  return {
    kind: 'tailscale',
    url: options.loginServer ?? publicLogin,
    capabilities: capabilitiesOf.tailscale,
    ...calls,
    look: async () => {
      // The cheapest question that needs the credential.
      const asked = await api.call({ method: 'GET', path: '/api/v2/tailnet/-/settings' });
      if (asked.ok || asked.error.detail?.['status'] === 403) return ok({ version: '', api: 'v2' });
      return asked;
    },
  };
}

function keyOf(credential: TailscaleCredential): Promise<Result<Secret, Refusal>> {
  return credential.kind === 'key' ? credential.key() : credential.secret();
}

const tokenShape = z.object({ access_token: z.string().min(1), expires_in: z.number().optional() });

interface TokenPlace extends TailscaleEngineOptions {
  readonly base: URL;
  readonly name: string;
}

/** Access tokens of an OAuth client: fetched when needed, kept until shortly before they end, one fetch at a time. */
class TokenSource {
  readonly #client: Extract<TailscaleCredential, { kind: 'client' }>;
  readonly #place: TokenPlace;
  #kept: { readonly token: Secret; readonly untilMs: number } | undefined;
  #fetching: Promise<Result<Secret, Refusal>> | undefined;

  constructor(client: Extract<TailscaleCredential, { kind: 'client' }>, place: TokenPlace) {
    this.#client = client;
    this.#place = place;
  }

  token(anew: boolean): Promise<Result<Secret, Refusal>> {
    if (anew) this.#kept = undefined;
    if (this.#kept !== undefined && this.#place.monotonicMs() < this.#kept.untilMs) {
      return Promise.resolve(ok(this.#kept.token));
    }
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetch(): Promise<Result<Secret, Refusal>> {
    const { base, name, egress, monotonicMs } = this.#place;
    const secret = await this.#client.secret();
    if (!secret.ok) return secret;
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: this.#client.id,
      client_secret: secret.value.reveal(),
    }).toString();
    const startedMs = monotonicMs();
    const sent = await egress({
      method: 'POST',
      url: new URL('/api/v2/oauth/token', base),
      headers: {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        'user-agent': 'postern',
      },
      body,
      signal: AbortSignal.timeout(timeouts.totalMs),
      timeouts,
      permission: { internal: true },
    });
    if (!sent.ok) {
      const why = `${name} gives no token (${sent.error.message}).`;
      return refuse('upstream_unavailable', why);
    }
    const bytes = await sent.value.readAll(tokenBytesMax);
    if (!bytes.ok) return bytes;
    const text = new TextDecoder().decode(bytes.value);
    if (sent.value.status >= 500) {
      return refuse('upstream_error', `${name} gives no token (${sent.value.status}).`);
    }
    if (sent.value.status !== 200) {
      return refuse(
        'upstream_credential',
        `${name} refuses the OAuth client: ${messageOf(text)}. Look at TS_CLIENT_ID and TS_CLIENT_SECRET; the client may have been revoked.`,
      );
    }
    return this.#keep(text, startedMs);
  }

  #keep(text: string, startedMs: number): Result<Secret, Refusal> {
    const odd = `${this.#place.name} answers for a token with something else.`;
    try {
      const parsed = tokenShape.safeParse(JSON.parse(text));
      if (!parsed.success) return refuse('upstream_error', odd);
      const { access_token: given, expires_in: seconds = 3_600 } = parsed.data;
      const token = new Secret(given);
      // Never longer than it lives: short tokens are kept for half of their life.
      const keptMs = Math.max(seconds * 1_000 - marginMs, seconds * 500);
      this.#kept = { token, untilMs: startedMs + keptMs };
      return ok(token);
    } catch {
      return refuse('upstream_error', odd);
    }
  }
}
