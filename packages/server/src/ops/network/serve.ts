import type { JsonObject } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';

/** What Serve does with one place of the node. */
export interface ServeRule {
  /** `name:port`, or the port of a TCP rule. */
  readonly at: string;
  readonly path: string;
  /** `unix:…`, `http://…`, or where a TCP rule leads. */
  readonly target: string;
  readonly kind: 'web' | 'tcp';
  /** The internet reaches it as well. */
  readonly funnel: boolean;
}

/** Reads a Serve configuration as tailscaled has it. */
export function serveRules(config: JsonObject): readonly ServeRule[] {
  const web = isJsonObject(config['Web']) ? config['Web'] : {};
  const tcp = isJsonObject(config['TCP']) ? config['TCP'] : {};
  const funnel = isJsonObject(config['AllowFunnel']) ? config['AllowFunnel'] : {};
  const isOpen = (at: string): boolean => funnel[at] === true;
  const pages = Object.entries(web).flatMap(([at, server]) => {
    const handlers =
      isJsonObject(server) && isJsonObject(server['Handlers']) ? server['Handlers'] : {};
    return Object.entries(handlers).map(([path, handler]) => {
      const proxy = isJsonObject(handler) ? handler['Proxy'] : undefined;
      const target = typeof proxy === 'string' ? proxy : '';
      return { at, path, target, kind: 'web' as const, funnel: isOpen(at) };
    });
  });
  const forwards = Object.entries(tcp).flatMap(([port, rule]) => {
    const to = isJsonObject(rule) ? rule['TCPForward'] : undefined;
    return typeof to === 'string'
      ? [{ at: port, path: '', target: to, kind: 'tcp' as const, funnel: false }]
      : [];
  });
  return [...pages, ...forwards];
}

/** Keys of `Web` that tailscaled does not understand: they are `host:port`, never a path. */
export function oddServeKeys(config: JsonObject): readonly string[] {
  const web = isJsonObject(config['Web']) ? config['Web'] : {};
  return Object.keys(web).filter((key) => !/^[^/\s]+:\d{1,5}$/.test(key));
}
