import type { JsonObject, Result } from '@postern/core/base';
import { err, isJsonObject, ok } from '@postern/core/base';
import { readObject, textOf } from './local-api.ts';
import type { LocalApiPlace } from './local-socket.ts';
import { callLocalApi } from './local-socket.ts';

/** What a look at the tailscaled of this machine shows, for whoever checks it. */
export interface LocalFacts {
  readonly state: string;
  readonly hasDevice: boolean;
  /** MagicDNS, as the network has it. */
  readonly magicDns: boolean;
  readonly suffix: string;
  /** When the key of this node ends; absent: it does not. */
  readonly keyExpiresAtMs: number | undefined;
  readonly tags: readonly string[];
  /** `host:port` that Funnel gives to the internet. */
  readonly funnels: readonly string[];
  /** What Serve hands to where: `https://ai.tail.ts.net/` to `http://127.0.0.1:8080`. */
  readonly mappings: readonly { readonly at: string; readonly to: string }[];
  /** What the daemon itself complains about. */
  readonly health: readonly string[];
  /** Relay region; empty where none is reached. */
  readonly relay: string;
}

/** Long for a busy machine, short for whoever waits. */
const slowMs = 10_000;

export async function askLocalFacts(place: LocalApiPlace): Promise<Result<LocalFacts, string>> {
  const [status, serve] = await Promise.all([
    askJson(place, 'status?peers=false'),
    askJson(place, 'serve-config'),
  ]);
  if (!status.ok) return status;
  if (!serve.ok) return serve;
  const { BackendState, TUN, Self, CurrentTailnet, Health } = status.value;
  const self = isJsonObject(Self) ? Self : {};
  const tailnet = isJsonObject(CurrentTailnet) ? CurrentTailnet : {};
  const expiry = textOf(self['KeyExpiry']);
  return ok({
    state: textOf(BackendState) ?? 'NoState',
    hasDevice: TUN === true,
    magicDns: tailnet['MagicDNSEnabled'] === true,
    suffix: textOf(tailnet['MagicDNSSuffix']) ?? '',
    keyExpiresAtMs: expiry === undefined ? undefined : Date.parse(expiry),
    tags: textList(self['Tags']),
    funnels: funnelsOf(serve.value),
    mappings: mappingsOf(serve.value),
    health: textList(Health),
    relay: textOf(self['Relay']) ?? '',
  });
}

/** Takes every service back from the internet; what Serve gives to the network itself stays. */
export async function turnFunnelOff(
  place: LocalApiPlace,
): Promise<Result<readonly string[], string>> {
  const got = await callLocalApi(place, { path: 'serve-config' });
  if (!got.ok) return got;
  const config = objectOrNone(got.value);
  if (!config.ok) return config;
  const funnels = funnelsOf(config.value);
  if (funnels.length === 0) return ok([]);
  const { AllowFunnel: _public, ...kept } = config.value;
  const set = await callLocalApi(place, {
    method: 'POST',
    path: 'serve-config',
    body: JSON.stringify(kept),
    timeoutMs: slowMs,
    ...(got.value.etag === undefined ? {} : { ifMatch: got.value.etag }),
  });
  if (!set.ok) return set;
  return set.value.status === 200 ? ok(funnels) : err(`tailscaled answered ${set.value.status}`);
}

async function askJson(place: LocalApiPlace, path: string): Promise<Result<JsonObject, string>> {
  const got = await callLocalApi(place, { path });
  return got.ok ? objectOrNone(got.value) : got;
}

/** A daemon that serves nothing answers `null`. */
function objectOrNone(answer: Parameters<typeof readObject>[0]): Result<JsonObject, string> {
  if (Buffer.from(answer.body).toString('latin1').trim() === 'null') return ok({});
  const read = readObject(answer);
  return read.ok ? read : err(read.error.message);
}

function funnelsOf(config: JsonObject): readonly string[] {
  const allowed = config['AllowFunnel'];
  return isJsonObject(allowed)
    ? Object.entries(allowed).flatMap(([host, isOn]) => (isOn === true ? [host] : []))
    : [];
}

function mappingsOf(config: JsonObject): LocalFacts['mappings'] {
  const web = config['Web'];
  if (!isJsonObject(web)) return [];
  return Object.entries(web).flatMap(([host, site]) => {
    const handlers = isJsonObject(site) ? site['Handlers'] : undefined;
    if (!isJsonObject(handlers)) return [];
    return Object.entries(handlers).flatMap(([path, handler]) => {
      const to = isJsonObject(handler) ? textOf(handler['Proxy']) : undefined;
      return to === undefined ? [] : [{ at: `${host}${path}`, to }];
    });
  });
}

function textList(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
