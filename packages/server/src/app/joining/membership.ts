import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { LocalNode } from '../../adapters/identity-serve/index.ts';
import type { RegistryProblem } from '../../adapters/registry-client/index.ts';
import { exposure } from './exposure.ts';
import type { JoinEvent, JoinSettings, JoinSurroundings, NodeDaemon } from './ports.ts';
import { removeStatus, writeStatus } from './status-files.ts';
import type { JoinRecord, Step } from './steps.ts';
import { readRecord, removeRecord, writeRecord } from './steps.ts';

/** Why a membership ended. */
export type Ended =
  | { readonly kind: 'left' }
  /** By the signal: it joins again at the next start. */
  | { readonly kind: 'stopped' }
  /** It will not work as long as nobody changes something. */
  | { readonly kind: 'failed'; readonly message: string };

const tickMs = 1_000;
/** How often the daemon is asked whether it still is on the network. */
const lookMs = 3_000;
/** A key that did not help is no reason to ask for one a second. */
const logInAgainMs = 20_000;
const statusMs = 30_000;
/** A coordination server tells others of this machine within a second or so. */
const meetMsMax = 2_000;
/** A registry that refuses what it took before is asked again: somebody may mend that. */
const refusedAgainMs = 15_000;
const retryMsMax = 10_000;

interface Trouble {
  readonly message: string;
  readonly isFinal: boolean;
}

/**
 * One node's life in a registry. Every round looks at what is and does what is missing, so that it makes no difference
 * whether the machine is new, was killed at any step, or lost its network meanwhile.
 */
export class Membership {
  readonly #settings: JoinSettings;
  readonly #around: JoinSurroundings;
  #record: JoinRecord;
  #daemon: NodeDaemon | undefined;
  #node: LocalNode | undefined;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #loggedInAtMs = Number.NEGATIVE_INFINITY;
  #isRegistered = false;
  /** What the registry was told; another claim is another registration. */
  #claim = '';
  #beatAtMs = Number.NEGATIVE_INFINITY;
  #backendProblem: string | undefined = 'nobody has looked yet';
  #isExposed = false;
  #hasEverJoined = false;
  #statusAtMs = Number.NEGATIVE_INFINITY;
  #troubles = 0;
  #said = '';
  #url = '';

  constructor(settings: JoinSettings, around: JoinSurroundings, record: JoinRecord) {
    this.#settings = settings;
    this.#around = around;
    this.#record = record;
  }

  async run(): Promise<Ended> {
    const { signal, sleep } = this.#around;
    while (!signal.aborted) {
      if (await this.#mustLeave()) return this.leave();
      const trouble = await this.#round();
      if (trouble?.isFinal === true && !this.#hasEverJoined) {
        await this.#daemon?.close();
        return { kind: 'failed', message: trouble.message };
      }
      this.#tell(trouble);
      await sleep(this.#pauseMs(trouble));
    }
    await this.#stop();
    return { kind: 'stopped' };
  }

  /** Undoes everything that joining did. What cannot be undone is said and passed over: leases end by themselves. */
  async leave(): Promise<Ended> {
    const { client, stateDir, say, openDaemon } = this.#around;
    await this.#step('leaving');
    const { uuid, loginServer, loggedIn, forwarded, daemon: kind, leaveToken } = this.#record;
    const left = await client.leave(uuid);
    if (!left.ok) {
      const { message } = left.error;
      say({ kind: 'problem', message: `${message} Its lease ends by itself.` });
    }
    if (kind !== undefined && (loggedIn || forwarded !== undefined)) {
      const opened =
        this.#daemon === undefined ? await openDaemon({ loginServer, kind }) : ok(this.#daemon);
      if (opened.ok) {
        this.#daemon = opened.value;
        await this.#leaveNetwork(opened.value);
      } else say({ kind: 'problem', message: opened.error });
    }
    if (loggedIn && leaveToken !== undefined) await this.#forgetDevice(uuid, leaveToken);
    await this.#daemon?.close();
    await this.#daemon?.erase();
    await removeStatus(this.#settings.statusFolder);
    await removeRecord(stateDir);
    say({ kind: 'left', message: `${this.#record.name} has left ${this.#record.server}` });
    return { kind: 'left' };
  }

  /** After it has logged out: a tailscaled that is forgotten first cannot do that. */
  async #forgetDevice(uuid: string, token: string): Promise<void> {
    const done = await this.#around.client.leave(uuid, token);
    const why = done.ok ? done.value : done.error.message;
    if (why === undefined) return;
    const message = `The network still lists this machine (postern node delete): ${why}`;
    this.#around.say({ kind: 'problem', message });
  }

  async #leaveNetwork(daemon: NodeDaemon): Promise<void> {
    const { forwarded, backend, loggedIn } = this.#record;
    const { say } = this.#around;
    if (forwarded !== undefined) {
      const ended = await daemon.endForward({ port: forwarded, target: backend });
      if (!ended.ok) say({ kind: 'problem', message: `Serve: ${ended.error}` });
    }
    if (!loggedIn) return;
    const out = await daemon.logOut();
    if (!out.ok) say({ kind: 'problem', message: `logout: ${out.error}` });
  }

  /** In order, and for a while: whoever would be sent here is sent elsewhere at once. */
  async #stop(): Promise<void> {
    if (this.#isRegistered) await this.#around.client.leave(this.#record.uuid);
    await this.#daemon?.close();
  }

  async #mustLeave(): Promise<boolean> {
    const { step } = this.#record;
    if (step === 'leaving') return true;
    const now = await readRecord(this.#around.stateDir);
    return now.ok && now.value?.step === 'leaving';
  }

  /** One look at everything; undefined: all is well. */
  async #round(): Promise<Trouble | undefined> {
    const node = await this.#onNetwork();
    if (!node.ok) return node.error;
    const before = this.#backendProblem;
    await this.#lookAtBackend();
    const exposed = await this.#expose(node.value);
    if (!exposed.ok) return exposed.error;
    const registered = await this.#register(node.value);
    if (!registered.ok) return registered.error;
    const nowMs = this.#around.monotonicMs();
    const isDue = nowMs - this.#beatAtMs >= (this.#settings.leaseSeconds * 1_000) / 3;
    if (isDue || before !== this.#backendProblem) {
      const beaten = await this.#beat();
      if (!beaten.ok) return beaten.error;
    }
    if (nowMs - this.#statusAtMs >= statusMs) await this.#writeStatus(node.value);
    return undefined;
  }

  async #onNetwork(): Promise<Result<LocalNode, Trouble>> {
    const nowMs = this.#around.monotonicMs();
    if (this.#node !== undefined && nowMs - this.#lookedAtMs < lookMs) return ok(this.#node);
    const daemon = await this.#openDaemon();
    if (!daemon.ok) return daemon;
    const asked = await daemon.value.ask();
    if (!asked.ok) {
      this.#node = undefined;
      // One of ours is started again by itself; that of the machine may be another one next time.
      if (daemon.value.kind === 'existing') this.#daemon = undefined;
      return trouble(asked.error);
    }
    const node = asked.value;
    if (node.state === 'Running' && node.addresses.length > 0) {
      this.#node = node;
      this.#lookedAtMs = nowMs;
      return ok(node);
    }
    this.#node = undefined;
    return this.#comeIn(daemon.value, node);
  }

  async #openDaemon(): Promise<Result<NodeDaemon, Trouble>> {
    if (this.#daemon !== undefined) return ok(this.#daemon);
    const { uuid, name, type } = this.#record;
    const request = { uuid, nodeName: name, nodeType: type, withKey: false };
    const told = await this.#around.client.join(request);
    if (!told.ok && (told.error.kind === 'refused' || this.#record.daemon === undefined)) {
      return err(troubleOf(told.error));
    }
    const loginServer =
      this.#settings.loginServer ?? (told.ok ? told.value.loginServer : this.#record.loginServer);
    const opened = await this.#around.openDaemon({ loginServer, kind: this.#record.daemon });
    if (!opened.ok) return err({ message: opened.error, isFinal: loginServer === undefined });
    this.#daemon = opened.value;
    await this.#step('network', {
      daemon: opened.value.kind,
      ...(loginServer === undefined ? {} : { loginServer }),
    });
    return ok(opened.value);
  }

  /** Logs the daemon in, or says what it waits for. */
  async #comeIn(daemon: NodeDaemon, node: LocalNode): Promise<Result<never, Trouble>> {
    if (node.state === 'NeedsMachineAuth') {
      return trouble('this machine waits for an operator: postern node approve NAME');
    }
    if (node.authUrl !== undefined) this.#tellUrl(node.authUrl);
    const nowMs = this.#around.monotonicMs();
    const mayLogIn =
      node.state === 'NeedsLogin' || (daemon.kind === 'own' && node.state === 'Stopped');
    if (!mayLogIn) {
      return trouble(
        node.state === 'Stopped'
          ? 'the local tailscaled is stopped: tailscale up'
          : `the local tailscaled is not on the network yet (${node.state})`,
      );
    }
    if (nowMs - this.#loggedInAtMs < logInAgainMs) return trouble('');
    const { loginServer } = this.#record;
    if (loginServer === undefined) {
      return trouble(
        'the local tailscaled is not logged in, and no network engine runs behind this registry: tailscale up',
      );
    }
    this.#loggedInAtMs = nowMs;
    return this.#logIn(daemon, loginServer);
  }

  async #logIn(daemon: NodeDaemon, server: string): Promise<Result<never, Trouble>> {
    const { name: hostname, uuid, type } = this.#record;
    const { acceptDns, authKey: given } = this.#settings;
    const request = { uuid, nodeName: hostname, nodeType: type, withKey: true };
    const asked = given === undefined ? await this.#around.client.join(request) : undefined;
    if (asked !== undefined && !asked.ok) return err(troubleOf(asked.error));
    const key = given ?? asked?.value.authKey;
    const why = asked?.value.whyNoKey;
    if (key === undefined) {
      const message = `there is no key for this machine${why === undefined ? '' : ` (${why})`}; somebody has to sign in`;
      this.#around.say({ kind: 'step', message });
    } else this.#around.say({ kind: 'step', message: `joining ${server} as ${hostname}` });
    const leaveToken = asked?.value.leaveToken;
    await this.#step('network', {
      loggedIn: true,
      ...(leaveToken === undefined ? {} : { leaveToken }),
    });
    const done = await daemon.logIn({
      server,
      hostname,
      acceptDns,
      ...(key === undefined ? {} : { authKey: key }),
    });
    return done.ok ? trouble('') : trouble(`the local tailscaled does not log in: ${done.error}`);
  }

  async #lookAtBackend(): Promise<void> {
    const { host, port } = this.#settings.backend;
    const problem = await this.#around.probe(host, port);
    if (problem !== undefined && problem !== this.#backendProblem) {
      this.#around.say({ kind: 'problem', message: `the backend ${host}:${port}: ${problem}` });
    }
    if (problem === undefined && this.#backendProblem !== undefined && this.#hasEverJoined) {
      this.#around.say({ kind: 'step', message: `the backend ${host}:${port} answers` });
    }
    this.#backendProblem = problem;
  }

  /** Once the backend answers: before, nobody can tell whether it listens on the network itself. */
  async #expose(node: LocalNode): Promise<Result<undefined, Trouble>> {
    if (this.#isExposed || this.#backendProblem !== undefined) return ok(undefined);
    const { backend } = this.#settings;
    const wanted = await exposure(node, backend, this.#around.probe);
    if (wanted !== undefined) {
      await this.#step('serve', { forwarded: wanted.port });
      const set = await this.#daemon?.forward(wanted);
      if (set?.ok === false)
        return trouble(`Serve cannot pass port ${wanted.port} on: ${set.error}`);
    }
    this.#isExposed = true;
    return ok(undefined);
  }

  async #register(node: LocalNode): Promise<Result<undefined, Trouble>> {
    const { type, leaseSeconds, metadata, backend, name } = this.#settings;
    const claim = {
      node_type: type,
      hostname: node.name === '' ? name : node.name,
      addresses: node.addresses,
      port: backend.port,
      metadata,
      lease_seconds: leaseSeconds,
    };
    const text = JSON.stringify(claim);
    if (this.#isRegistered && text === this.#claim) return ok(undefined);
    // Whoever is sent here from now on gets through at once.
    await this.#daemon?.meetPeers(meetMsMax);
    await this.#step('registered');
    const { uuid } = this.#record;
    const done = await this.#around.client.register(uuid, claim);
    if (!done.ok) return err(troubleOf(done.error));
    const { addresses } = node;
    const message = `${claim.hostname} serves ${type} at ${addresses[0]}:${backend.port}`;
    if (!this.#isRegistered || text !== this.#claim) {
      this.#around.say({
        kind: 'joined',
        message,
        uuid,
        name: claim.hostname,
        addresses,
        port: backend.port,
      });
    }
    this.#isRegistered = true;
    this.#hasEverJoined = true;
    this.#claim = text;
    // The registry hears at once whether the backend answers.
    this.#beatAtMs = Number.NEGATIVE_INFINITY;
    return ok(undefined);
  }

  async #beat(): Promise<Result<undefined, Trouble>> {
    const why = this.#backendProblem;
    const health = why === undefined ? { healthy: true } : { healthy: false, why };
    const nowMs = this.#around.monotonicMs();
    const done = await this.#around.client.heartbeat(this.#record.uuid, health);
    if (done.ok) {
      this.#beatAtMs = nowMs;
      await this.#around.heard();
      return ok(undefined);
    }
    if (done.error.kind === 'unknown') {
      this.#isRegistered = false;
      return trouble('');
    }
    return err(troubleOf(done.error));
  }

  async #writeStatus(node: LocalNode): Promise<void> {
    const { statusFolder, type } = this.#settings;
    this.#statusAtMs = this.#around.monotonicMs();
    if (statusFolder === undefined || this.#daemon === undefined) return;
    const [text, key] = await Promise.all([
      this.#daemon.statusText(),
      this.#around.client.groupKey(type),
    ]);
    const problem = await writeStatus(statusFolder, {
      node,
      serverUrl: this.#record.loginServer,
      status: text.ok ? text.value : undefined,
      sharedKey: key.ok ? key.value.key : undefined,
    });
    if (problem !== undefined) this.#around.say({ kind: 'problem', message: problem });
  }

  /** What is about to be done, on the disk before it is. */
  async #step(step: Step, more: Partial<JoinRecord> = {}): Promise<void> {
    const next: JoinRecord = { ...this.#record, ...more, step };
    if (JSON.stringify(next) === JSON.stringify(this.#record)) return;
    // Somebody may have asked us to leave meanwhile: that stays.
    if (step !== 'leaving' && (await this.#mustLeave())) return;
    await writeRecord(this.#around.stateDir, next);
    this.#record = next;
  }

  #tellUrl(url: string): void {
    if (url === this.#url) return;
    this.#url = url;
    this.#tellEvent({ kind: 'login', url, message: `sign in to let this machine in: ${url}` });
  }

  /** What is wrong is said once, and that it is over, too. */
  #tell(problem: Trouble | undefined): void {
    if (problem !== undefined) this.#troubles += 1;
    else this.#troubles = 0;
    const message = problem?.message ?? '';
    if (message === this.#said || (problem !== undefined && message === '')) return;
    this.#said = message;
    this.#tellEvent(
      problem === undefined
        ? { kind: 'step', message: 'all is well again' }
        : { kind: 'problem', message },
    );
  }

  #tellEvent(event: JoinEvent): void {
    this.#around.say(event);
  }

  #pauseMs(problem: Trouble | undefined): number {
    if (problem === undefined || problem.message === '') return tickMs / 2;
    if (problem.isFinal) return refusedAgainMs;
    return Math.min(tickMs * 1.5 ** Math.min(this.#troubles, 10), retryMsMax);
  }
}

function trouble(message: string): Result<never, Trouble> {
  return err({ message, isFinal: false });
}

function troubleOf({ kind, message }: RegistryProblem): Trouble {
  return { message, isFinal: kind === 'refused' };
}
