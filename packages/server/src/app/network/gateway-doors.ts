import { networkInterfaces } from 'node:os';
import type { Result } from '@postern/core/base';
import { formatAddr, parseAddr } from '@postern/core/base/netip';
import type { LocalApiPlace, LocalNode } from '../../adapters/identity-serve/index.ts';
import { serveOnSocket } from '../../adapters/identity-serve/index.ts';
import type { Listener, ListenProblem } from '../../http/index.ts';

/** Opens listeners of the two kinds that the network comes in by. Each is known to the rest of the process at once. */
export interface DoorOpener {
  tailnet(
    host: string,
    port: number,
    hosts: readonly string[],
  ): Promise<Result<Listener, ListenProblem>>;
  /** The serve socket; the one that the configuration opened already, where it did. */
  serve(
    hosts: readonly string[],
  ): Promise<Result<{ readonly path: string; readonly own: Listener | undefined }, ListenProblem>>;
  closed(listener: Listener): void;
}

export interface OpenDoors {
  /** `kernel`: our own address. `userspace`: `tailscale serve` hands it to the serve socket. */
  readonly mode: 'kernel' | 'userspace';
  readonly problem: string | undefined;
}

const servedPort = 80;
/** A network device gets its addresses a moment after the daemon says that it runs. */
const addressMsMax = 10_000;

/** Where requests over the mesh come in: our own addresses, or Serve where this machine does not have them. */
export class GatewayDoors {
  readonly #opener: DoorOpener;
  readonly #port: number;
  readonly #tailnet = new Map<string, Listener>();
  #missedAtMs: number | undefined;
  #served: { readonly path: string; readonly own: Listener | undefined } | undefined;

  readonly #maySetServe: boolean;

  /** `maySetServe`: the node is there for us; else its Serve is its owner's, who is told what to set. */
  constructor(
    opener: DoorOpener,
    { port, maySetServe }: { readonly port: number; readonly maySetServe: boolean },
  ) {
    this.#opener = opener;
    this.#port = port;
    this.#maySetServe = maySetServe;
  }

  async open(place: LocalApiPlace, node: LocalNode): Promise<OpenDoors> {
    if (!node.hasDevice) return this.#openServe(place, node);
    const problems: string[] = [];
    for (const [address, listener] of this.#tailnet) {
      if (!node.addresses.includes(address)) await this.#shut(address, listener);
    }
    const ours = ownAddresses();
    const here = node.addresses.filter((address) => ours.has(canonical(address)));
    if (here.length === 0) {
      this.#missedAtMs ??= performance.now();
      // Its device is in another network namespace: a sidecar that shares its socket with us.
      if (performance.now() - this.#missedAtMs > addressMsMax) return this.#openServe(place, node);
      return { mode: 'kernel', problem: 'this machine does not have its tailnet address yet' };
    }
    this.#missedAtMs = undefined;
    for (const address of here) {
      if (this.#tailnet.has(address)) continue;
      const opened = await this.#opener.tailnet(address, this.#port, hostsOf(node));
      if (opened.ok) this.#tailnet.set(address, opened.value);
      else problems.push(opened.error.message);
    }
    return { mode: 'kernel', problem: problems.length === 0 ? undefined : problems.join('; ') };
  }

  async close(): Promise<void> {
    for (const [address, listener] of this.#tailnet) await this.#shut(address, listener);
    const own = this.#served?.own;
    this.#served = undefined;
    if (own === undefined) return;
    this.#opener.closed(own);
    await own.close(0);
  }

  async #shut(address: string, listener: Listener): Promise<void> {
    this.#tailnet.delete(address);
    this.#opener.closed(listener);
    await listener.close(0);
  }

  async #openServe(place: LocalApiPlace, node: LocalNode): Promise<OpenDoors> {
    const mode = 'userspace';
    if (this.#served === undefined) {
      const opened = await this.#opener.serve(hostsOf(node));
      if (!opened.ok) return { mode, problem: opened.error.message };
      this.#served = opened.value;
    }
    const socket = this.#served.path;
    const by = `tailscale serve --bg --http=${servedPort} unix:${socket}`;
    if (!this.#maySetServe) return { mode, problem: `callers come in after this, as root: ${by}` };
    const set = await serveOnSocket(place, { name: node.name, socket });
    if (set.ok) return { mode, problem: undefined };
    return { mode, problem: `Serve cannot be set (${set.error}); as root: ${by}` };
  }
}

/** What callers on the network may call us: `ai`, the node's own name, both of them whole and short, our addresses. */
function hostsOf({ name, suffix, addresses }: LocalNode): readonly string[] {
  const short = name.split('.')[0] ?? '';
  const names = ['ai', name, short, ...(suffix === '' ? [] : [`ai.${suffix}`])];
  return [...names.filter((each) => each !== ''), ...addresses];
}

function ownAddresses(): ReadonlySet<string> {
  const lists = Object.values(networkInterfaces());
  return new Set(lists.flatMap((list) => (list ?? []).map(({ address }) => canonical(address))));
}

function canonical(address: string): string {
  const parsed = parseAddr(address);
  return parsed.ok ? formatAddr(parsed.value) : address;
}
