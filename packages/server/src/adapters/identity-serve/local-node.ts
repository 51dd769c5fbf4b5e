import type { JsonObject, JsonValue, Result, Secret } from '@postern/core/base';
import { err, isJsonObject, ok } from '@postern/core/base';
import { readObject, textOf, texts } from './local-api.ts';
import type { LocalApiPlace, LocalCall } from './local-socket.ts';
import { callLocalApi } from './local-socket.ts';

/** What a tailscaled says of itself. */
export interface LocalNode {
  /** `Running`, `NeedsLogin`, `NeedsMachineAuth`, `Stopped`, `Starting`, `NoState`. */
  readonly state: string;
  /** It has a network device, so that its addresses are this machine's. Else it is in userspace mode. */
  readonly hasDevice: boolean;
  readonly addresses: readonly string[];
  /** Without a dot at its end: `ai.mesh.internal`; empty before it has joined. */
  readonly name: string;
  readonly tags: readonly string[];
  /** What names of its network end in. */
  readonly suffix: string;
  /** Where it waits for a person to sign in. */
  readonly authUrl: string | undefined;
}

/** A login at a coordination server. */
export interface JoinRequest {
  readonly server: string;
  /** Absent: a person signs in at the address that the daemon then names. */
  readonly authKey?: Secret;
  readonly hostname: string;
  /** Take the network's names into the machine's resolver. Default: they stay as they are. */
  readonly acceptDns?: boolean;
  /** Tags that it asks for itself; a key may bring its own. */
  readonly tags?: readonly string[];
}

/** Starting and logging in wait for the disk and, at times, for the server. */
export const slowMs = 20_000;

/** `GET /localapi/v0/status`; err: a sentence. */
export async function askLocalNode(place: LocalApiPlace): Promise<Result<LocalNode, string>> {
  const status = await askObject(place, 'status?peers=false');
  if (!status.ok) return status;
  const { BackendState, TUN, TailscaleIPs, Self, AuthURL, CurrentTailnet, MagicDNSSuffix } =
    status.value;
  const self = isJsonObject(Self) ? Self : {};
  const tailnet = isJsonObject(CurrentTailnet) ? CurrentTailnet : {};
  return ok({
    state: textOf(BackendState) ?? 'NoState',
    hasDevice: TUN === true,
    addresses: texts(TailscaleIPs),
    name: (textOf(self['DNSName']) ?? '').replace(/\.$/, ''),
    tags: texts(self['Tags']),
    suffix: textOf(tailnet['MagicDNSSuffix']) ?? textOf(MagicDNSSuffix) ?? '',
    authUrl: textOf(AuthURL),
  });
}

/** The coordination server that it belongs to, as it was told. */
export async function askLocalServer(place: LocalApiPlace): Promise<Result<string, string>> {
  const prefs = await askObject(place, 'prefs');
  return prefs.ok ? ok(textOf(prefs.value['ControlURL']) ?? '') : prefs;
}

/** What `tailscale status --json` prints, as bytes. */
export async function askStatusText(place: LocalApiPlace): Promise<Result<string, string>> {
  const got = await callLocalApi(place, { path: 'status' });
  if (!got.ok) return got;
  const { status, body } = got.value;
  return status === 200 ? ok(Buffer.from(body).toString('utf8')) : err(complaint(status, body));
}

/** Ends the login: the coordination server forgets the key of this node. */
export function logOutLocalNode(place: LocalApiPlace): Promise<Result<undefined, string>> {
  return change(place, { method: 'POST', path: 'logout' });
}

/** Logs a daemon in, as `tailscale up` does. It is done when its state says so. */
export async function joinLocalNode(
  place: LocalApiPlace,
  { server, authKey, hostname, acceptDns = false, tags = [] }: JoinRequest,
): Promise<Result<undefined, string>> {
  const prefs = await askObject(place, 'prefs');
  if (!prefs.ok) return prefs;
  // `Config` is the stored identity: the daemon keeps its own.
  const { Config: _identity, ...kept } = prefs.value;
  const wanted: JsonObject = {
    ...kept,
    ControlURL: server,
    Hostname: hostname,
    WantRunning: true,
    LoggedOut: false,
    CorpDNS: acceptDns,
    RouteAll: false,
    ...(tags.length === 0 ? {} : { AdvertiseTags: [...tags] }),
  };
  const started = await change(place, {
    method: 'POST',
    path: 'start',
    body: JSON.stringify({
      ...(authKey === undefined ? {} : { AuthKey: authKey.reveal() }),
      UpdatePrefs: wanted,
    }),
  });
  if (!started.ok) return started;
  return change(place, { method: 'POST', path: 'login-interactive' });
}

export async function askObject(
  place: LocalApiPlace,
  path: string,
): Promise<Result<JsonObject, string>> {
  const got = await callLocalApi(place, { path });
  if (!got.ok) return got;
  const read = readObject(got.value);
  return read.ok ? read : err(causeOf(read.error.detail));
}

export async function change(
  place: LocalApiPlace,
  call: LocalCall,
): Promise<Result<undefined, string>> {
  const done = await callLocalApi(place, { timeoutMs: slowMs, ...call });
  if (!done.ok) return done;
  const { status, body } = done.value;
  return status >= 200 && status < 300 ? ok(undefined) : err(complaint(status, body));
}

/** What the daemon says, on one line. It is root's word, and goes to the log only. */
export function complaint(status: number, body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, 300)).toString('utf8').replaceAll(/\s+/g, ' ').trim();
  return `tailscaled answered ${status}${text === '' ? '' : `: ${text}`}`;
}

export function causeOf(detail: Readonly<Record<string, JsonValue>> | undefined): string {
  const cause = detail?.['cause'];
  return typeof cause === 'string' ? cause : 'tailscaled cannot be understood';
}
