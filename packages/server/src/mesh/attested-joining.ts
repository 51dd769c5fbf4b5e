import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { joinNonceBytes, type JoinPurpose, joinReportData } from '@postern/core/attest/enrolment';
import type { Verdict } from '@postern/core/attest';
import { ok, type Result, type Secret } from '@postern/core/base';
import { type Refusal, refuse } from '@postern/core/errors';
import { judgeChallenge } from './evidence.ts';
import type { Judge } from './judge.ts';
import { refusalText } from './peer.ts';

/** Who was given a registration key, for which evidence. */
export interface AttestedJoin {
  /** Id of the key: the node that it admits names it. */
  readonly keyId: string;
  readonly app: string;
  readonly instance: string | undefined;
  readonly device: string | undefined;
  readonly atMs: number;
}

export interface JoinStore {
  /** Durable when it resolves. */
  add(join: AttestedJoin): Promise<void>;
  find(keyId: string): Promise<AttestedJoin | undefined>;
}

/** The network as joining sees it. */
export interface JoinNetwork {
  /** A key for one machine, whose node waits until it is bound. */
  createKey(app: string, name: string): Promise<Result<JoinKey, Refusal>>;
  /** The node with a node key now. */
  node(nodeKey: string): JoiningNode | undefined;
  /** Lets it in. */
  approve(id: string, app: string): Promise<Result<void, Refusal>>;
}

export interface JoinKey {
  readonly id: string;
  readonly key: Secret;
  /** What the client logs in to. */
  readonly url: string;
  readonly expiresAtMs: number;
}

export interface JoiningNode {
  readonly id: string;
  /** Id of the key by which it came. */
  readonly admittedBy: string | undefined;
}

export interface AttestedJoiningOptions {
  readonly judge: Pick<Judge, 'trust' | 'tools' | 'findFacts' | 'nowMs'>;
  /** App ids, lower case, that may join. Machines and versions are the appraisal policy's. */
  readonly apps: () => readonly string[];
  readonly store: JoinStore;
  readonly network: () => JoinNetwork | undefined;
}

/** A quote takes seconds on a busy machine. */
export const challengeMsMax = 120_000;
/** Challenges that were answered, remembered until they end; beyond, nobody is judged for a moment. */
const answeredMax = 100_000;
/** Evidence that is judged at once; some of it waits for a vendor's collateral. */
const judgingMax = 8;
const timeBytes = 6;
const randomPart = 10;
const macBytes = 16;

/**
 * Registration keys for evidence alone: over a nonce that we made just now, of an app that is listed. The node that uses the
 * key waits until the same machine shows evidence over its node key; so a key that somebody else took lets nobody in.
 */
export class AttestedJoining {
  readonly #options: AttestedJoiningOptions;
  readonly #secret = randomBytes(32);
  readonly #answered = new Map<string, number>();
  #judging = 0;

  constructor(options: AttestedJoiningOptions) {
    this.#options = options;
  }

  /** A nonce of 32 bytes: when it was made, chance, and a MAC, so that open challenges need no memory. */
  challenge(): { readonly nonce: Uint8Array; readonly expiresAtMs: number } {
    const nowMs = this.#options.judge.nowMs();
    const head = Buffer.alloc(timeBytes + randomPart);
    head.writeUIntBE(nowMs, 0, timeBytes);
    randomBytes(randomPart).copy(head, timeBytes);
    const nonce = new Uint8Array(Buffer.concat([head, this.#mac(head)]));
    return { nonce, expiresAtMs: nowMs + challengeMsMax };
  }

  async join(request: {
    readonly nonce: Uint8Array;
    readonly name: string;
    readonly evidence: Uint8Array;
  }): Promise<Result<JoinKey & { readonly app: string }, Refusal>> {
    const network = this.#options.network();
    if (network === undefined) return noNetwork();
    const judged = await this.#judge({ kind: 'join' }, request);
    if (!judged.ok) return judged;
    const { appId, instanceId, deviceId } = judged.value;
    const app = appId?.toLowerCase() ?? '';
    const key = await network.createKey(app, request.name);
    if (!key.ok) return key;
    await this.#options.store.add({
      keyId: key.value.id,
      app,
      instance: instanceId?.toLowerCase(),
      device: deviceId?.toLowerCase(),
      atMs: this.#options.judge.nowMs(),
    });
    return ok({ ...key.value, app });
  }

  /** Binds a node to the machine whose evidence got its key, and lets it in. Again is no mistake. */
  async bind(request: {
    readonly nonce: Uint8Array;
    readonly nodeKey: string;
    readonly evidence: Uint8Array;
  }): Promise<Result<{ readonly node: string; readonly app: string }, Refusal>> {
    const network = this.#options.network();
    if (network === undefined) return noNetwork();
    const { nodeKey } = request;
    const judged = await this.#judge({ kind: 'bind', nodeKey }, request);
    if (!judged.ok) return judged;
    const node = network.node(nodeKey);
    const by = node?.admittedBy;
    const join = by === undefined ? undefined : await this.#options.store.find(by);
    if (node === undefined || join === undefined) {
      return refuse('not_found', 'No machine with this node key joined by a key for evidence.');
    }
    const { appId, instanceId, deviceId } = judged.value;
    const isSame =
      join.app === appId?.toLowerCase() &&
      join.instance === instanceId?.toLowerCase() &&
      join.device === deviceId?.toLowerCase();
    if (!isSame) return refuse('access_denied', 'Another machine was given the key of this node.');
    const approved = await network.approve(node.id, join.app);
    return approved.ok ? ok({ node: node.id, app: join.app }) : approved;
  }

  async #judge(
    purpose: JoinPurpose,
    { nonce, evidence }: { readonly nonce: Uint8Array; readonly evidence: Uint8Array },
  ): Promise<Result<Verdict, Refusal>> {
    const fresh = this.#take(nonce);
    if (!fresh.ok) return fresh;
    const { judge, apps } = this.#options;
    const reportData = joinReportData(purpose, nonce, judge.tools.crypto);
    // Anybody may ask, and a judgement costs milliseconds: a few at a time, so that other work goes on.
    if (this.#judging >= judgingMax) return busy();
    this.#judging += 1;
    const judged = await judgeChallenge(judge, evidence, reportData).finally(() => {
      this.#judging -= 1;
    });
    if (!judged.ok) {
      return refuse('credential_invalid', `The evidence is refused: ${refusalText(judged.error)}.`);
    }
    const app = judged.value.appId?.toLowerCase() ?? '';
    return apps().includes(app)
      ? judged
      : refuse(
          'access_denied',
          `The app ${app} is not one that may join (mesh.attestedJoin.apps).`,
        );
  }

  /** Each challenge is answered once, by whomever. */
  #take(nonce: Uint8Array): Result<undefined, Refusal> {
    const { judge } = this.#options;
    const bytes = Buffer.from(nonce);
    const head = bytes.subarray(0, timeBytes + randomPart);
    const mac = bytes.subarray(timeBytes + randomPart);
    const isOurs = bytes.length === joinNonceBytes && timingSafeEqual(mac, this.#mac(head));
    if (!isOurs) return refuse('credential_invalid', 'This challenge is not one of ours.');
    const [nowMs, madeMs] = [judge.nowMs(), head.readUIntBE(0, timeBytes)];
    if (nowMs > madeMs + challengeMsMax) {
      return refuse('credential_expired', 'This challenge is over: ask for a new one.');
    }
    for (const [name, endsMs] of this.#answered) {
      if (endsMs >= nowMs) break;
      this.#answered.delete(name);
    }
    const name = head.toString('base64');
    if (this.#answered.has(name)) {
      return refuse('credential_invalid', 'This challenge was answered before.');
    }
    if (this.#answered.size >= answeredMax) {
      return busy();
    }
    this.#answered.set(name, madeMs + challengeMsMax);
    return ok(undefined);
  }

  #mac(head: Uint8Array): Buffer {
    return createHmac('sha256', this.#secret).update(head).digest().subarray(0, macBytes);
  }
}

function busy(): Result<never, Refusal> {
  return refuse('overloaded', 'Too many machines join at once.', { retryAfterMs: 5_000 });
}

function noNetwork(): Result<never, Refusal> {
  return refuse('state_unavailable', 'No network engine of ours runs here: start it with --url.');
}
