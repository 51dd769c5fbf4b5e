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
  readonly authKey: Secret;
  readonly hostname: string;
}

/** Starting and logging in wait for the disk and, at times, for the server. */
const slowMs = 20_000;

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

/** Logs a daemon in by a pre-auth key, as `tailscale up` does. It is done when its state says so. */
export async function joinLocalNode(
  place: LocalApiPlace,
  { server, authKey, hostname }: JoinRequest,
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
    // The gateway asks nobody on the network: the machine's own names stay as they are.
    CorpDNS: false,
    RouteAll: false,
  };
  const started = await change(place, {
    method: 'POST',
    path: 'start',
    body: JSON.stringify({ AuthKey: authKey.reveal(), UpdatePrefs: wanted }),
  });
  if (!started.ok) return started;
  return change(place, { method: 'POST', path: 'login-interactive' });
}

/**
 * Lets `tailscale serve` hand port 80 of this node to a unix socket. What else Serve is set to stays, and what is on
 * that port already is refused; a change by somebody else in between is tried again.
 */
export async function serveOnSocket(
  place: LocalApiPlace,
  { name, socket }: { readonly name: string; readonly socket: string },
): Promise<Result<undefined, string>> {
  for (let tries = 0; tries < 3; tries += 1) {
    const got = await callLocalApi(place, { path: 'serve-config' });
    if (!got.ok) return got;
    const config = readObjectOrNull(got.value);
    if (!config.ok) return config;
    const changed = withSocket(config.value, `${name}:80`, `unix:${socket}`);
    if (!changed.ok) return changed;
    const wanted = changed.value;
    if (wanted === undefined) return ok(undefined);
    const set = await callLocalApi(place, {
      method: 'POST',
      path: 'serve-config',
      body: JSON.stringify(wanted),
      timeoutMs: slowMs,
      ...(got.value.etag === undefined ? {} : { ifMatch: got.value.etag }),
    });
    if (!set.ok) return set;
    if (set.value.status === 200) return ok(undefined);
    if (set.value.status !== 412) return err(complaint(set.value.status, set.value.body));
  }
  return err('its Serve configuration is changed by somebody else all the time');
}

/** Undefined where it is so already. What somebody else serves on this port is not ours to replace. */
function withSocket(
  config: JsonObject,
  host: string,
  proxy: string,
): Result<JsonObject | undefined, string> {
  const tcp = isJsonObject(config['TCP']) ? config['TCP'] : {};
  const web = isJsonObject(config['Web']) ? config['Web'] : {};
  const port = tcp['80'];
  if (port !== undefined && !(isJsonObject(port) && port['HTTP'] === true)) {
    return err('port 80 serves something else already');
  }
  const present = web[host];
  const handlers =
    isJsonObject(present) && isJsonObject(present['Handlers']) ? present['Handlers'] : {};
  const root = handlers['/'];
  const served = isJsonObject(root) ? root['Proxy'] : undefined;
  if (served === proxy && port !== undefined) return ok(undefined);
  if (root !== undefined && !isOurSocket(served)) {
    return err(`http://${host} serves something else already`);
  }
  const own = { Handlers: { ...handlers, '/': { Proxy: proxy } } };
  return ok({
    ...config,
    TCP: { ...tcp, '80': { HTTP: true } },
    Web: { ...web, [host]: own },
  });
}

/** Another state folder's: what we set before. */
function isOurSocket(proxy: JsonValue | undefined): boolean {
  return typeof proxy === 'string' && /^unix:.*\/run\/serve\.sock$/.test(proxy);
}

async function askObject(place: LocalApiPlace, path: string): Promise<Result<JsonObject, string>> {
  const got = await callLocalApi(place, { path });
  if (!got.ok) return got;
  const read = readObject(got.value);
  return read.ok ? read : err(causeOf(read.error.detail));
}

/** A daemon that serves nothing answers `null`. */
function readObjectOrNull(answer: Parameters<typeof readObject>[0]): Result<JsonObject, string> {
  if (Buffer.from(answer.body).toString('latin1').trim() === 'null') return ok({});
  const read = readObject(answer);
  return read.ok ? read : err(causeOf(read.error.detail));
}

async function change(place: LocalApiPlace, call: LocalCall): Promise<Result<undefined, string>> {
  const done = await callLocalApi(place, { timeoutMs: slowMs, ...call });
  if (!done.ok) return done;
  const { status, body } = done.value;
  return status >= 200 && status < 300 ? ok(undefined) : err(complaint(status, body));
}

/** What the daemon says, on one line. It is root's word, and goes to the log only. */
function complaint(status: number, body: Uint8Array): string {
  const text = Buffer.from(body.subarray(0, 300)).toString('utf8').replaceAll(/\s+/g, ' ').trim();
  return `tailscaled answered ${status}${text === '' ? '' : `: ${text}`}`;
}

function causeOf(detail: Readonly<Record<string, JsonValue>> | undefined): string {
  const cause = detail?.['cause'];
  return typeof cause === 'string' ? cause : 'tailscaled cannot be understood';
}
