import type { ClientHttp2Stream } from 'node:http2';
import {
  generateKeyPair,
  type KeyPair,
} from '../../../packages/server/src/coordination/noise/index.ts';
import { capabilityVersion, ControlSession } from './control-session.ts';
import { MapFrames } from './map-frames.ts';
import { type MapResponse, Netmap } from './netmap.ts';

/** The keys of one pretended machine. */
export interface Machine {
  readonly machine: KeyPair;
  readonly node: KeyPair;
  readonly disco: KeyPair;
  readonly hostname: string;
}

export function newMachine(hostname: string): Machine {
  return {
    machine: generateKeyPair(),
    node: generateKeyPair(),
    disco: generateKeyPair(),
    hostname,
  };
}

export function nodeKeyText({ publicKey }: KeyPair): string {
  return `nodekey:${Buffer.from(publicKey).toString('hex')}`;
}

export interface RegisterAnswer {
  readonly Error?: string;
  readonly AuthURL?: string;
  readonly MachineAuthorized?: boolean;
  readonly NodeKeyExpired?: boolean;
  readonly User?: { readonly ID: number; readonly DisplayName?: string };
  readonly Login?: { readonly LoginName?: string };
}

export interface RegisterOptions {
  readonly authKey?: string;
  readonly oldNodeKey?: string;
  readonly followup?: string;
  readonly expiry?: string;
  readonly ephemeral?: boolean;
  readonly tags?: readonly string[];
}

const zeroNodeKey = `nodekey:${'0'.repeat(64)}`;

/** A control client: registers a machine, follows its network map, reports its endpoints. */
export class ControlClient {
  readonly machine: Machine;
  readonly netmap: Netmap = new Netmap();
  readonly session: ControlSession;
  /** Bytes of the map stream so far, as they came over the wire. */
  streamBytes = 0;
  #stream: ClientHttp2Stream | undefined;
  #frames = new MapFrames();
  #watchers = new Set<() => void>();
  #onFrame: ((json: Buffer) => void) | undefined;
  /** Told when the map stream that is followed has ended. */
  onOver: (() => void) | undefined;

  constructor(session: ControlSession, machine: Machine) {
    this.session = session;
    this.machine = machine;
  }

  static async connect(options: {
    readonly url: string;
    readonly machine: Machine;
    readonly controlKey?: Uint8Array;
    readonly version?: number;
  }): Promise<ControlClient> {
    const { machine, ...rest } = options;
    return new ControlClient(
      await ControlSession.open({ ...rest, machine: machine.machine }),
      machine,
    );
  }

  get nodeKey(): string {
    return nodeKeyText(this.machine.node);
  }

  get discoKey(): string {
    return `discokey:${Buffer.from(this.machine.disco.publicKey).toString('hex')}`;
  }

  hostinfo(more: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    return {
      IPNVersion: '1.102.3-driver',
      OS: 'linux',
      OSVersion: 'driver',
      GoArch: 'amd64',
      Hostname: this.machine.hostname,
      BackendLogID: Buffer.from(this.machine.machine.publicKey).toString('hex'),
      NetInfo: { PreferredDERP: 900, WorkingUDP: true, LinkType: 'wired' },
      ...more,
    };
  }

  /** The raw answer to a registration, for requests that are to be refused. */
  async registerRaw(body: Readonly<Record<string, unknown>>): Promise<{
    readonly status: number;
    readonly body: string;
  }> {
    return this.session.post('/machine/register', body);
  }

  async register(options: RegisterOptions = {}): Promise<RegisterAnswer> {
    const { authKey, tags } = options;
    const hostinfo = this.hostinfo(tags === undefined ? {} : { RequestTags: tags });
    const { status, body } = await this.registerRaw({
      Version: capabilityVersion,
      NodeKey: this.nodeKey,
      OldNodeKey: options.oldNodeKey ?? zeroNodeKey,
      ...(authKey === undefined ? {} : { Auth: { AuthKey: authKey } }),
      Expiry: options.expiry ?? '0001-01-01T00:00:00Z',
      Followup: options.followup ?? '',
      Hostinfo: hostinfo,
      Ephemeral: options.ephemeral ?? false,
    });
    if (status !== 200) throw new Error(`register: ${status} ${body}`);
    return JSON.parse(body) as RegisterAnswer;
  }

  /** A lite update: what the machine says of itself, without an answer. */
  async update(options: {
    readonly endpoints: readonly string[];
    readonly hostinfo?: Readonly<Record<string, unknown>>;
  }): Promise<void> {
    const { status, body } = await this.session.post('/machine/map', {
      ...this.#mapRequest(),
      Stream: false,
      OmitPeers: true,
      ReadOnly: false,
      Endpoints: options.endpoints,
      EndpointTypes: options.endpoints.map(() => 1),
      Hostinfo: this.hostinfo(options.hostinfo),
    });
    if (status !== 200) throw new Error(`update: ${status} ${body}`);
  }

  /**
   * Follows the map. `onFrame` replaces the reading of frames, for measurements that count cheaply; it gets the JSON.
   */
  follow(onFrame?: (json: Buffer) => void): void {
    this.#onFrame = onFrame;
    const body = { ...this.#mapRequest(), Stream: true, KeepAlive: true, OmitPeers: false };
    const stream = this.session.stream('/machine/map', { ...body, Hostinfo: this.hostinfo() });
    this.#stream?.close();
    this.#stream = stream;
    this.#frames = new MapFrames();
    stream.on('response', (headers) => {
      const status = Number(headers[':status']);
      if (status !== 200) this.netmap.refused = status;
      this.#wake();
    });
    stream.on('data', (chunk: Buffer) => {
      if (stream === this.#stream) this.#receive(chunk);
    });
    stream.on('error', () => undefined);
    stream.on('close', () => {
      if (stream !== this.#stream) return;
      this.netmap.isOver = true;
      this.onOver?.();
      this.#wake();
    });
  }

  /** Waits until the map fits. */
  async until(fits: (netmap: Netmap) => boolean, withinMs = 10_000): Promise<Netmap> {
    const endMs = performance.now() + withinMs;
    while (!fits(this.netmap)) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) {
        throw new Error(`not in ${withinMs} ms: ${fits.toString()}; ${this.netmap.summary()}`);
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#watchers.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, leftMs);
        this.#watchers.add(wake);
      });
    }
    return this.netmap;
  }

  close(): void {
    this.session.close();
  }

  #mapRequest(): Readonly<Record<string, unknown>> {
    return {
      Version: capabilityVersion,
      Compress: 'zstd',
      NodeKey: this.nodeKey,
      DiscoKey: this.discoKey,
    };
  }

  #receive(chunk: Buffer): void {
    this.streamBytes += chunk.length;
    for (const json of this.#frames.push(chunk)) {
      if (this.#onFrame !== undefined) this.#onFrame(json);
      else this.netmap.apply(JSON.parse(json.toString('utf8')) as MapResponse);
      this.#wake();
    }
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
  }
}
