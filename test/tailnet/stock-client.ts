import type { ChildProcess } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killed, type Place, type Said } from './lab.ts';

/** `tailscale status --json`, as far as tests look at it. */
export interface StockStatus {
  readonly BackendState: string;
  readonly AuthURL: string;
  readonly TailscaleIPs: readonly string[] | null;
  readonly Health: readonly string[] | null;
  readonly Self: StockPeer;
  readonly Peer: Readonly<Record<string, StockPeer>> | null;
}

export interface StockPeer {
  /** `n` and its number. */
  readonly ID: string;
  readonly HostName: string;
  readonly DNSName: string;
  readonly TailscaleIPs: readonly string[] | null;
  readonly Online: boolean;
  readonly CurAddr: string;
  readonly Relay: string;
  readonly Tags?: readonly string[];
  readonly KeyExpiry?: string;
}

const startMsMax = 15_000;
const logBytesMax = 2 * 1024 * 1024;

/** Nothing of the public service is ever asked, and local noise is off. */
const hermetic: Readonly<Record<string, string>> = {
  TS_PANIC_IF_HIT_MAIN_CONTROL: '1',
  TS_ASSUME_NETWORK_UP_FOR_TEST: '1',
  TS_DISABLE_PORTMAPPER: '1',
  TS_NO_LOGS_NO_SUPPORT: 'true',
  TS_DEBUG_PERMIT_HTTP_C2N: '1',
  // Some kernels lack what wireguard-go probes for; plain sockets always work.
  TS_DEBUG_NETSTACK: '',
};

/** A stock Tailscale client in a place of the lab. */
export class StockClient {
  readonly place: Place;
  readonly #bin: string;
  readonly #state: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #isUserspace: boolean;
  #daemon: ChildProcess | undefined;
  #log = '';

  private constructor(place: Place, options: StockOptions) {
    this.place = place;
    this.#bin = options.programs;
    this.#state = path.join(place.folder, 'ts');
    this.#env = { ...hermetic, ...options.env };
    this.#isUserspace = options.isUserspace ?? false;
  }

  static async start(place: Place, options: StockOptions): Promise<StockClient> {
    const client = new StockClient(place, options);
    await client.startDaemon();
    return client;
  }

  get #socket(): string {
    return path.join(this.#state, 's');
  }

  /** What the daemon has logged lately. */
  get log(): string {
    return this.#log;
  }

  async startDaemon(): Promise<void> {
    await mkdir(this.#state, { recursive: true });
    const tun = this.#isUserspace ? 'userspace-networking' : 'tailscale0';
    const words = [`--tun=${tun}`, `--statedir=${this.#state}`, `--socket=${this.#socket}`];
    const daemon = this.place.start(
      [path.join(this.#bin, 'tailscaled'), ...words, '--port=41641', '--no-logs-no-support'],
      { env: this.#env },
    );
    this.#daemon = daemon;
    for (const stream of [daemon.stdout, daemon.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-logBytesMax);
      });
    }
    const endMs = performance.now() + startMsMax;
    while ((await this.cli(['status', '--json'])).out === '') {
      if (performance.now() > endMs) throw new Error(`tailscaled does not start: ${this.#log}`);
      await sleep(50);
    }
  }

  async stopDaemon(): Promise<void> {
    if (this.#daemon !== undefined) await killed(this.#daemon);
  }

  /** The words that run its command line. */
  command(words: readonly string[]): readonly string[] {
    return [path.join(this.#bin, 'tailscale'), `--socket=${this.#socket}`, ...words];
  }

  cli(words: readonly string[], timeoutMs?: number): Promise<Said> {
    return this.place.run(this.command(words), timeoutMs);
  }

  /** Joins; fails with what the client said. */
  async up(url: string, words: readonly string[] = [], seconds = 30): Promise<void> {
    const own = ['up', `--login-server=${url}`, `--hostname=${this.place.name}`];
    const said = await this.cli([
      ...own,
      '--netfilter-mode=off',
      `--timeout=${seconds}s`,
      ...words,
    ]);
    if (said.code !== 0) {
      throw new Error(`${this.place.name}: up: ${said.err}${said.out}\n${this.tail()}`);
    }
  }

  async status(): Promise<StockStatus> {
    return JSON.parse((await this.cli(['status', '--json'])).out) as StockStatus;
  }

  /** A peer as this client sees it. */
  async peer(name: string): Promise<StockPeer | undefined> {
    const peers = Object.values((await this.status()).Peer ?? {});
    return peers.find(({ DNSName }) => DNSName.split('.')[0] === name);
  }

  async until(
    what: string,
    holds: (status: StockStatus) => boolean,
    withinMs = 15_000,
  ): Promise<StockStatus> {
    const endMs = performance.now() + withinMs;
    for (;;) {
      const status = await this.status();
      if (holds(status)) return status;
      if (performance.now() > endMs) {
        const { BackendState, Health } = status;
        const peers = Object.values(status.Peer ?? {}).map(({ DNSName }) => DNSName);
        const state = JSON.stringify({ BackendState, Health, peers });
        throw new Error(
          `${this.place.name}: not in ${withinMs} ms: ${what}: ${state}\n${this.tail()}`,
        );
      }
      await sleep(100);
    }
  }

  async address(): Promise<string> {
    return (await this.status()).TailscaleIPs?.[0] ?? '';
  }

  /** The last lines of the daemon's log. */
  tail(lines = 40): string {
    return this.#log.split('\n').slice(-lines).join('\n');
  }
}

export interface StockOptions {
  /** The folder with `tailscale` and `tailscaled`. */
  readonly programs: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Without a TUN device, as in containers. */
  readonly isUserspace?: boolean;
}
