import { Agent } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { err, ok, type Result } from '@postern/core/base';
import {
  askBreaker,
  type Breaker,
  type BreakerRules,
  closedBreaker,
  reportToBreaker,
} from '@postern/core/routing';
import { answerOfProblem } from './answer.ts';
import type { CallProblem } from './call-problem.ts';
import { WirePool } from './fast/index.ts';
import { type DialProblem, dialPeer, type JudgedSocket, type Protocol } from './handshake.ts';
import type { Judge } from './judge.ts';
import type { OpenPeers } from './open-peers.ts';
import type { OwnIdentity } from './own-identity.ts';
import type { Candidate, MeshAddress, ResolveTarget } from './ports.ts';

export interface MeshClientOptions {
  readonly judge: Judge;
  readonly identity: OwnIdentity;
  readonly resolve: ResolveTarget;
  readonly open: OpenPeers;
  readonly onRefused: (address: MeshAddress, problem: DialProblem) => void;
}

/** Three failures in a row eject an address for a second; one probe at a time brings it back. */
const ejection: BreakerRules = { failures: 3, windowMs: 30_000, openMs: 1_000, openMsMax: 30_000 };
/** Targets with a pool of their own; beyond, those that nobody uses go. */
const poolsMax = 1_024;
const breakersMax = 8_192;

/** The error that an agent gives a request for which no peer was found; the problem is for the answer. */
export class CallFailure extends Error {
  readonly problem: CallProblem;

  constructor(problem: CallProblem) {
    super(problem.kind);
    this.problem = problem;
  }
}

/** Connections to judged peers: new ones one by one, kept ones in a pool for each target. */
export class MeshClient {
  readonly #options: MeshClientOptions;
  readonly #pools = new Map<string, PeerAgent>();
  readonly #wires = new Map<string, WirePool>();
  readonly #breakers = new Map<string, Breaker>();

  constructor(options: MeshClientOptions) {
    this.#options = options;
  }

  /** Connects to the first address at which the target itself answers. */
  async dial(address: MeshAddress, protocol: Protocol): Promise<Result<JudgedSocket, CallProblem>> {
    const { identity, judge, resolve, onRefused } = this.#options;
    const candidates = (await resolve(address)).slice(0, judge.limits.candidatesMax);
    if (candidates.length === 0) {
      const message = 'nobody knows an address of this app: no registry entry, no gateway domain';
      return err({ kind: 'unknown-target', message });
    }
    let problem: CallProblem | undefined;
    for (const candidate of candidates) {
      const credential = identity.current();
      if (credential === undefined) {
        return err({ kind: 'no-identity', message: 'our own certificate has ended' });
      }
      const key = keyOf(address, candidate);
      const asked = askBreaker(this.#breakers.get(key) ?? closedBreaker, judge.nowMs());
      this.#keepBreaker(key, asked.breaker);
      if (asked.pass === undefined) {
        problem ??= { kind: 'ejected', message: 'it failed lately', waitMs: asked.waitMs };
        continue;
      }
      // oxlint-disable-next-line no-await-in-loop -- one address after the other, until one is right
      const dialed = await dialPeer(judge, { candidate, target: address, protocol, credential });
      const outcome = dialed.ok ? 'good' : 'bad';
      const nowMs = judge.nowMs();
      const report = { pass: asked.pass, outcome, nowMs } as const;
      const before = this.#breakers.get(key) ?? closedBreaker;
      this.#keepBreaker(key, reportToBreaker(ejection, before, report));
      if (dialed.ok) {
        const { socket, peer } = dialed.value;
        this.#options.open.add(socket, {
          edge: 'outbound',
          peer,
          port: address.port,
          sinceMs: nowMs,
        });
        return dialed;
      }
      onRefused(address, dialed.error);
      // Whoever is somebody else says more than that somebody did not answer.
      if (problem === undefined || dialed.error.kind === 'refused') problem = dialed.error;
    }
    return err(problem ?? { kind: 'unreachable', message: 'no address answered' });
  }

  /** The pool of kept HTTP/1.1 connections to one target. */
  agentFor(address: MeshAddress): Agent {
    const key = poolKey(address);
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    if (this.#pools.size >= poolsMax) this.#dropIdlePools();
    const { limits } = this.#options.judge;
    const agent = new PeerAgent(
      () => this.dial(address, 'http/1.1'),
      { isUsable: (socket) => this.#isUsable(socket) },
      {
        keepAlive: true,
        timeout: limits.keepAliveMs,
        maxSockets: limits.connectionsPerTargetMax,
        maxFreeSockets: limits.idlePerTargetMax,
        scheduling: 'lifo',
      },
    );
    this.#pools.set(key, agent);
    return agent;
  }

  /** The pool of the short way to one target. `key` is `poolKey` of the address. */
  wiresFor(key: string, address: MeshAddress): WirePool {
    const known = this.#wires.get(key);
    if (known !== undefined) return known;
    if (this.#wires.size >= poolsMax) {
      for (const [old, pool] of this.#wires) if (pool.isUnused) this.#wires.delete(old);
    }
    const { limits } = this.#options.judge;
    const pool = new WirePool(
      {
        dial: async () => {
          const dialed = await this.dial(address, 'http/1.1');
          return dialed.ok ? ok(dialed.value.socket) : err(answerOfProblem(dialed.error));
        },
        isUsable: (socket) => this.#isUsable(socket),
      },
      {
        connectionsMax: limits.connectionsPerTargetMax,
        idleMax: limits.idlePerTargetMax,
        keepMs: limits.keepAliveMs,
        requestsMax: limits.requestsPerConnectionMax,
        headersMax: limits.headersMax * 2,
      },
    );
    this.#wires.set(key, pool);
    return pool;
  }

  wirePools(): Iterable<WirePool> {
    return this.#wires.values();
  }

  /** Addresses that are ejected now, for people. */
  ejected(): readonly string[] {
    return [...this.#breakers]
      .filter(([, breaker]) => breaker.kind !== 'closed')
      .map(([key]) => key);
  }

  close(): void {
    for (const agent of this.#pools.values()) agent.destroy();
    this.#pools.clear();
    for (const pool of this.#wires.values()) pool.close();
    this.#wires.clear();
  }

  /** Was its peer judged, and does that still hold? */
  #isUsable(socket: Socket): boolean {
    const { open, judge } = this.#options;
    const peer = open.peerOf(socket);
    return peer !== undefined && judge.nowMs() < peer.expiresAtMs;
  }

  #keepBreaker(key: string, breaker: Breaker): void {
    this.#breakers.delete(key);
    if (breaker.kind === 'closed' && breaker.failures === 0) return;
    this.#breakers.set(key, breaker);
    const [oldest] = this.#breakers.keys();
    if (this.#breakers.size > breakersMax && oldest !== undefined) this.#breakers.delete(oldest);
  }

  #dropIdlePools(): void {
    for (const [key, agent] of this.#pools) {
      if (Object.keys(agent.sockets).length > 0 || Object.keys(agent.requests).length > 0) continue;
      agent.destroy();
      this.#pools.delete(key);
    }
  }
}

/** Names a target among pools. */
export function poolKey({ appId, instanceId, port }: MeshAddress): string {
  return `${appId}/${instanceId ?? ''}:${port}`;
}

function keyOf({ appId, instanceId }: MeshAddress, { host, port }: Candidate): string {
  return `${appId}${instanceId === undefined ? '' : `/${instanceId}`} at ${host}:${port}`;
}

type Dial = () => Promise<Result<JudgedSocket, CallProblem>>;

interface Keeping {
  isUsable(socket: JudgedSocket['socket']): boolean;
}

/** A pool of node:http whose connections are judged before a request is given to them, and looked at before each reuse. */
class PeerAgent extends Agent {
  readonly #dial: Dial;
  readonly #keeping: Keeping;

  constructor(dial: Dial, keeping: Keeping, options: ConstructorParameters<typeof Agent>[0]) {
    super(options);
    this.#dial = dial;
    this.#keeping = keeping;
  }

  override createConnection(
    _options: unknown,
    callback?: (cause: Error | null, stream: Duplex) => void,
  ): undefined {
    // node:http takes the stream from the callback; with an error it does not look at the second argument.
    const done = callback as ((cause: Error | null, stream?: Duplex) => void) | undefined;
    void this.#connect(done);
    return undefined;
  }

  async #connect(
    done: ((cause: Error | null, stream?: Duplex) => void) | undefined,
  ): Promise<void> {
    const dialed = await this.#dial();
    if (dialed.ok) done?.(null, dialed.value.socket);
    else done?.(new CallFailure(dialed.error));
  }

  // Declared without its answer; node:http keeps the socket only where this is true.
  override keepSocketAlive(socket: Duplex): boolean {
    // The pool holds only what createConnection gave it.
    const judged = socket as JudgedSocket['socket'];
    if (!this.#keeping.isUsable(judged)) return false;
    const kept: unknown = super.keepSocketAlive(socket);
    return kept === true;
  }
}

export function callProblemOf(cause: unknown): CallProblem | undefined {
  return cause instanceof CallFailure ? cause.problem : undefined;
}
