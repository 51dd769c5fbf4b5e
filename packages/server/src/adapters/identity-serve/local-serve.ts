import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, ok } from '@postern/core/base';
import { readObject } from './local-api.ts';
import { causeOf, complaint, slowMs } from './local-node.ts';
import type { LocalApiPlace } from './local-socket.ts';
import { callLocalApi } from './local-socket.ts';

/** A change of the Serve configuration: the new one, undefined where it is so already, or why it may not be. */
type Edit = (config: JsonObject) => Result<JsonObject | undefined, string>;

/** What Serve is set to; an empty object where it serves nothing. */
export async function askServeConfig(place: LocalApiPlace): Promise<Result<JsonObject, string>> {
  const got = await callLocalApi(place, { path: 'serve-config' });
  return got.ok ? readObjectOrNull(got.value) : got;
}

/** Changes it as it is, whoever else does so meanwhile: a change by somebody else in between is tried again. */
async function editServe(place: LocalApiPlace, edit: Edit): Promise<Result<undefined, string>> {
  for (let tries = 0; tries < 3; tries += 1) {
    const got = await callLocalApi(place, { path: 'serve-config' });
    if (!got.ok) return got;
    const config = readObjectOrNull(got.value);
    if (!config.ok) return config;
    const changed = edit(config.value);
    if (!changed.ok) return changed;
    if (changed.value === undefined) return ok(undefined);
    const set = await callLocalApi(place, {
      method: 'POST',
      path: 'serve-config',
      body: JSON.stringify(changed.value),
      timeoutMs: slowMs,
      ...(got.value.etag === undefined ? {} : { ifMatch: got.value.etag }),
    });
    if (!set.ok) return set;
    if (set.value.status === 200) return ok(undefined);
    if (set.value.status !== 412) return err(complaint(set.value.status, set.value.body));
  }
  return err('its Serve configuration is changed by somebody else all the time');
}

export interface ServedSocket {
  /** The node's own name, with its network. */
  readonly name: string;
  readonly socket: string;
  /** With a certificate of the network, where it issues any. */
  readonly https?: boolean;
}

/**
 * Lets `tailscale serve` hand port 80 (or 443) of this node to a unix socket. What else Serve is set to stays, and
 * what is on that port already is refused.
 */
export function serveOnSocket(
  place: LocalApiPlace,
  { name, socket, https = false }: ServedSocket,
): Promise<Result<undefined, string>> {
  return editServe(place, (config) => withSocket(config, { name, https }, `unix:${socket}`));
}

/** What somebody else serves on this port is not ours to replace. */
function withSocket(
  config: JsonObject,
  { name, https }: { readonly name: string; readonly https: boolean },
  proxy: string,
): Result<JsonObject | undefined, string> {
  const number = https ? '443' : '80';
  const host = `${name}:${number}`;
  const tcp = partOf(config, 'TCP');
  const web = partOf(config, 'Web');
  const port = tcp[number];
  if (port !== undefined && !(isJsonObject(port) && port[https ? 'HTTPS' : 'HTTP'] === true)) {
    return err(`port ${number} serves something else already`);
  }
  const present = web[host];
  const handlers = isJsonObject(present) ? partOf(present, 'Handlers') : {};
  const root = handlers['/'];
  const served = isJsonObject(root) ? root['Proxy'] : undefined;
  if (served === proxy && port !== undefined) return ok(undefined);
  if (root !== undefined && !isOurSocket(served)) {
    return err(`${https ? 'https' : 'http'}://${host} serves something else already`);
  }
  const own = { Handlers: { ...handlers, '/': { Proxy: proxy } } };
  return ok({
    ...config,
    TCP: { ...tcp, [number]: https ? { HTTPS: true } : { HTTP: true } },
    Web: { ...web, [host]: own },
  });
}

/** Lets Serve pass connections to a port of this node on to an address that this machine reaches. */
export function forwardTcp(
  place: LocalApiPlace,
  { port, target }: { readonly port: number; readonly target: string },
): Promise<Result<undefined, string>> {
  return editServe(place, (config) => {
    const tcp = partOf(config, 'TCP');
    const present = tcp[String(port)];
    if (isJsonObject(present) && present['TCPForward'] === target) return ok(undefined);
    if (present !== undefined) return err(`Serve has something else on port ${port} already`);
    return ok({ ...config, TCP: { ...tcp, [String(port)]: { TCPForward: target } } });
  });
}

/** Takes a forward back; what is there by somebody else stays. */
export function endForward(
  place: LocalApiPlace,
  { port, target }: { readonly port: number; readonly target: string },
): Promise<Result<undefined, string>> {
  return editServe(place, (config) => {
    const { [String(port)]: present, ...rest } = partOf(config, 'TCP');
    if (!isJsonObject(present) || present['TCPForward'] !== target) return ok(undefined);
    return ok({ ...config, TCP: rest });
  });
}

/** What we set before, also for another state folder. */
export function isOurSocket(proxy: JsonValue | undefined): boolean {
  return typeof proxy === 'string' && /^unix:.*\/run\/serve\.sock$/.test(proxy);
}

export function partOf(config: JsonObject, name: string): JsonObject {
  const part = config[name];
  return isJsonObject(part) ? part : {};
}

/** A daemon that serves nothing answers `null`. */
function readObjectOrNull(answer: Parameters<typeof readObject>[0]): Result<JsonObject, string> {
  if (Buffer.from(answer.body).toString('latin1').trim() === 'null') return ok({});
  const read = readObject(answer);
  return read.ok ? read : err(causeOf(read.error.detail));
}
