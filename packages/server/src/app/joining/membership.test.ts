import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok, Secret } from '@postern/core/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JoinRequest, LocalNode } from '../../adapters/identity-serve/index.ts';
import type { NodeClaim, RegistryProblem } from '../../adapters/registry-client/index.ts';
import type { Ended, JoinEvent, JoinSettings, JoinSurroundings, NodeDaemon } from './index.ts';
import { begin, leave, Membership, readRecord, writeRecord } from './index.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(path.join(tmpdir(), 'postern-join-'));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

const settings: JoinSettings = {
  server: 'http://gateway:8000',
  name: 'gpu-1',
  type: 'instant',
  backend: { host: '127.0.0.1', port: 8_000 },
  leaseSeconds: 15,
  metadata: {},
  acceptDns: false,
};

class Crash extends Error {}

/** A registry, an engine and a tailscaled that outlive the process under test. */
class World {
  readonly nodes = new Map<string, NodeClaim>();
  readonly beats: { readonly healthy: boolean }[] = [];
  readonly forwards = new Map<number, string>();
  keysMade = 0;
  /** Undefined: nobody is logged in. */
  loggedInBy: string | undefined;
  state = 'NeedsLogin';
  authUrl: string | undefined;
  hasEngine = true;
  mayMakeKeys = true;
  hasDevice = true;
  /** Of the join, when it left. */
  leftWith: string | undefined;
  /** Why the engine still has the machine. */
  keptDevice: string | undefined;
  problem: RegistryProblem | undefined;
  backend: string | undefined;
  metBeforeRegistering = false;
  /** Calls until the process dies. */
  lifeLeft = Number.POSITIVE_INFINITY;
  readonly calls: string[] = [];
  nowMs = 0;

  #call(name: string): void {
    if (this.lifeLeft <= 0) throw new Crash(name);
    this.lifeLeft -= 1;
    this.calls.push(name);
  }

  /** Half of the crashes come after the call took effect. */
  #after(): void {
    if (this.lifeLeft <= 0) throw new Crash('after');
  }

  daemon(kind: NodeDaemon['kind']): NodeDaemon {
    return {
      kind,
      ask: () => Promise.resolve(ok(this.#node())),
      statusText: () => Promise.resolve(ok('{}')),
      logIn: (request: JoinRequest) => {
        this.#call('logIn');
        if (request.authKey === undefined) this.authUrl = 'http://engine/register/1';
        else {
          this.loggedInBy = request.hostname;
          this.state = 'Running';
        }
        this.#after();
        return Promise.resolve(ok(undefined));
      },
      logOut: () => {
        this.#call('logOut');
        this.loggedInBy = undefined;
        this.state = 'NeedsLogin';
        return Promise.resolve(ok(undefined));
      },
      forward: ({ port, target }) => {
        this.#call('forward');
        this.forwards.set(port, target);
        this.#after();
        return Promise.resolve(ok(undefined));
      },
      endForward: ({ port }) => {
        this.#call('endForward');
        this.forwards.delete(port);
        return Promise.resolve(ok(undefined));
      },
      meetPeers: () => {
        this.metBeforeRegistering = this.nodes.size === 0;
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
      erase: () => Promise.resolve(),
    };
  }

  #node(): LocalNode {
    return {
      state: this.state,
      hasDevice: this.hasDevice,
      addresses: this.state === 'Running' ? ['100.64.0.7'] : [],
      name: this.state === 'Running' ? 'gpu-1.mesh.internal' : '',
      tags: [],
      suffix: 'mesh.internal',
      authUrl: this.authUrl,
    };
  }

  around(said: JoinEvent[], ending: AbortController): JoinSurroundings {
    const refused = <T>(value: () => T): Promise<Result<T, RegistryProblem>> =>
      Promise.resolve(this.problem === undefined ? ok(value()) : err(this.problem));
    return {
      stateDir,
      client: {
        join: ({ withKey }) => {
          this.#call('join');
          if (withKey && this.mayMakeKeys) this.keysMade += 1;
          return refused(() => ({
            loginServer: this.hasEngine ? 'http://engine' : undefined,
            authKey: withKey && this.mayMakeKeys ? new Secret(`key-${this.keysMade}`) : undefined,
            leaveToken: withKey && this.mayMakeKeys ? `token-${this.keysMade}` : undefined,
            whyNoKey: this.mayMakeKeys ? undefined : 'the engine hands out none',
            groupKey: { epoch: 1, key: new Secret('shared') },
          }));
        },
        register: (uuid, claim) => {
          this.#call('register');
          return refused(() => {
            this.nodes.set(uuid, claim);
            this.#after();
            return undefined;
          });
        },
        heartbeat: (uuid, { healthy }) => {
          this.#call('heartbeat');
          if (!this.nodes.has(uuid)) {
            return Promise.resolve(err({ kind: 'unknown', message: 'no such node' }));
          }
          this.beats.push({ healthy });
          return refused(() => undefined);
        },
        groupKey: () => refused(() => ({ epoch: 1, key: new Secret('shared') })),
        leave: (uuid, token) => {
          this.#call('leave');
          this.nodes.delete(uuid);
          this.leftWith = token;
          return refused(() => this.keptDevice);
        },
      },
      openDaemon: ({ kind }) => {
        this.#call('openDaemon');
        return Promise.resolve(ok(this.daemon(kind ?? 'existing')));
      },
      probe: (host) => Promise.resolve(host === '100.64.0.7' ? 'nobody listens' : this.backend),
      say: (event) => said.push(event),
      heard: () => Promise.resolve(),
      newId: () => 'u-1',
      monotonicMs: () => this.nowMs,
      sleep: async (ms) => {
        this.nowMs += ms;
        await new Promise((done) => setImmediate(done));
      },
      signal: ending.signal,
    };
  }
}

let ids = 0;
const newId = (): string => `u-${(ids += 1)}`;

/** One life of the process: until `holds`, a crash, or its end. */
async function live(
  world: World,
  holds: () => boolean,
  said: JoinEvent[] = [],
): Promise<Ended | 'crashed' | 'held'> {
  const ending = new AbortController();
  const around = world.around(said, ending);
  const record = await begin(settings, stateDir, newId);
  if (!record.ok) throw new Error(record.error);
  const stopper = setInterval(() => {
    if (holds()) ending.abort();
  }, 1);
  try {
    const ended = await new Membership(
      settings,
      {
        ...around,
        sleep: async (ms) => {
          if (holds()) {
            // As a loss of power: nothing is done in order.
            throw new Crash('held');
          }
          await around.sleep(ms);
        },
      },
      record.value,
    ).run();
    return ended;
  } catch (cause) {
    if (!(cause instanceof Crash)) throw cause;
    return cause.message === 'held' ? 'held' : 'crashed';
  } finally {
    clearInterval(stopper);
  }
}

describe('joining', () => {
  test('brings a machine in, registers it, passes its port on and says that it is well', async () => {
    const world = new World();
    const said: JoinEvent[] = [];
    expect(await live(world, () => world.beats.length > 1, said)).toBe('held');
    expect(world.loggedInBy).toBe('gpu-1');
    expect([...world.nodes.values()]).toMatchObject([
      { node_type: 'instant', addresses: ['100.64.0.7'], port: 8_000, lease_seconds: 15 },
    ]);
    expect(world.forwards.get(8_000)).toBe('127.0.0.1:8000');
    expect(world.beats[0]).toEqual({ healthy: true });
    expect(said.filter(({ kind }) => kind === 'joined')).toHaveLength(1);
    expect(world.keysMade).toBe(1);
    expect(world.metBeforeRegistering).toBe(true);
  });

  test('killed after any call and started again, it is the same node, once', async () => {
    for (let life = 0; life < 12; life += 1) {
      rmSync(path.join(stateDir, 'join'), { recursive: true, force: true });
      const world = new World();
      world.lifeLeft = life;
      const first = await live(world, () => world.beats.length > 0);
      const before = await readRecord(stateDir);
      world.lifeLeft = Number.POSITIVE_INFINITY;
      if (first !== 'held') {
        expect(await live(world, () => world.beats.length > 0), `life ${life}`).toBe('held');
      }
      const after = await readRecord(stateDir);
      expect(after.ok && after.value?.uuid).toBe(before.ok && before.value?.uuid);
      expect([...world.nodes.keys()]).toEqual([after.ok && after.value?.uuid]);
      expect(world.keysMade).toBeLessThanOrEqual(2);
    }
  });

  test('killed after any call and told to leave, nothing is left behind', async () => {
    for (let life = 1; life < 12; life += 1) {
      rmSync(path.join(stateDir, 'join'), { recursive: true, force: true });
      const world = new World();
      world.lifeLeft = life;
      await live(world, () => world.beats.length > 0);
      world.lifeLeft = Number.POSITIVE_INFINITY;
      const record = await readRecord(stateDir);
      if (!record.ok || record.value === undefined) throw new Error('no record');
      const around = world.around([], new AbortController());
      await new Membership(settings, around, record.value).leave();
      expect(world.nodes.size, `life ${life}`).toBe(0);
      expect(world.forwards.size).toBe(0);
      expect(world.loggedInBy).toBeUndefined();
      expect(await readRecord(stateDir)).toEqual(ok(undefined));
    }
  });

  test('a running membership that is told to leave does so by itself', async () => {
    const world = new World();
    const leaving = live(world, () => false);
    while (world.beats.length === 0) await new Promise((done) => setImmediate(done));
    const record = await readRecord(stateDir);
    if (!record.ok || record.value === undefined) throw new Error('no record');
    await writeRecord(stateDir, { ...record.value, step: 'leaving' });
    expect(await leaving).toEqual({ kind: 'left' });
    expect(world.nodes.size).toBe(0);
  });

  test('leaves a tailscaled logged in that somebody else logged in', async () => {
    const world = new World();
    [world.state, world.loggedInBy] = ['Running', 'somebody'];
    await live(world, () => world.beats.length > 0);
    expect(world.calls).not.toContain('logIn');
    expect(world.keysMade).toBe(0);
    const record = await readRecord(stateDir);
    if (!record.ok || record.value === undefined) throw new Error('no record');
    await new Membership(settings, world.around([], new AbortController()), record.value).leave();
    expect(world.loggedInBy).toBe('somebody');
    expect(world.leftWith).toBeUndefined();
  });

  test('leaving, it shows by which key it joined, and says where the network still lists it', async () => {
    const world = new World();
    await live(world, () => world.beats.length > 0);
    const record = await readRecord(stateDir);
    if (!record.ok || record.value === undefined) throw new Error('no record');
    expect(record.value.leaveToken).toBe('token-1');
    world.keptDevice = 'Headscale does not answer.';
    const said: JoinEvent[] = [];
    await new Membership(settings, world.around(said, new AbortController()), record.value).leave();
    expect(world.leftWith).toBe('token-1');
    expect(said).toContainEqual({
      kind: 'problem',
      message:
        'The network still lists this machine (postern node delete): Headscale does not answer.',
    });
  });

  test('prints where to sign in when there is no key', async () => {
    const world = new World();
    world.mayMakeKeys = false;
    const said: JoinEvent[] = [];
    await live(world, () => said.some(({ kind }) => kind === 'login'), said);
    expect(said).toContainEqual(
      expect.objectContaining({ kind: 'login', url: 'http://engine/register/1' }),
    );
    expect(said.map(({ message }) => message).join('\n')).toContain('the engine hands out none');
  });

  test('without an engine it takes the network that the machine is on', async () => {
    const world = new World();
    world.hasEngine = false;
    world.state = 'Running';
    expect(await live(world, () => world.beats.length > 0)).toBe('held');
    expect(world.nodes.size).toBe(1);
  });

  test('ends at once where the registry refuses it, and not where it does not answer', async () => {
    const world = new World();
    world.problem = { kind: 'refused', message: 'You may not register nodes of type instant.' };
    expect(await live(world, () => false)).toEqual({
      kind: 'failed',
      message: 'You may not register nodes of type instant.',
    });
    world.problem = { kind: 'unreachable', message: 'no answer' };
    const said: JoinEvent[] = [];
    const waiting = live(world, () => world.beats.length > 0, said);
    while (world.calls.length < 5) await new Promise((done) => setImmediate(done));
    world.problem = undefined;
    expect(await waiting).toBe('held');
    expect(said.filter(({ message }) => message === 'no answer')).toHaveLength(1);
    expect(said.at(-1)?.message).not.toBe('no answer');
  });

  test('registers again when its lease is over, and logs in again when its login is', async () => {
    const world = new World();
    let beats = 0;
    const run = live(world, () => world.beats.length > beats);
    await run;
    beats = world.beats.length;
    world.nodes.clear();
    [world.state, world.loggedInBy] = ['NeedsLogin', undefined];
    world.nowMs += 60_000;
    expect(await live(world, () => world.beats.length > beats)).toBe('held');
    expect(world.nodes.size).toBe(1);
    expect(world.keysMade).toBe(2);
  });

  test('says that its backend is down, and passes nothing on before it answers', async () => {
    const world = new World();
    world.backend = 'port 8000 cannot be reached (ECONNREFUSED)';
    await live(world, () => world.beats.length > 0);
    expect(world.beats[0]).toEqual({ healthy: false });
    expect(world.forwards.size).toBe(0);
    world.backend = undefined;
    await live(world, () => world.beats.at(-1)?.healthy === true);
    expect(world.forwards.size).toBe(1);
  });

  test('refuses another server before it has left the first', async () => {
    await begin(settings, stateDir, newId);
    const other = await begin({ ...settings, server: 'http://other:8000' }, stateDir, newId);
    expect(other).toEqual({
      ok: false,
      error: 'this machine has joined http://gateway:8000; leave that first: postern leave',
    });
  });

  test('leaving what was never joined is no failure', async () => {
    const left = await leave({
      stateDir,
      credential: () => () => Promise.resolve(err('none')),
      env: {},
      // Nothing is logged where nothing is done.
      logger: undefined as never,
      say: () => undefined,
      signal: new AbortController().signal,
    });
    expect(left).toEqual(ok('this machine has not joined anything'));
  });
});
