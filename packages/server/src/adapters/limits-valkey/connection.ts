import { createHash } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { createClient } from '@redis/client';
import type { BankFailure } from '../../gateway/money/bank.ts';
import { valkeyLimits } from './limits.ts';

/** A script and the digest by which the server knows it once it has run. */
export interface Script {
  readonly text: string;
  readonly sha1: string;
}

export function scriptOf(text: string): Script {
  // The server names scripts so; nothing hangs on the strength of it.
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

const probeScript = scriptOf(`
redis.call('SET', KEYS[1], '1', 'PX', 1000)
return 1`);

/** Runs scripts on one server. Refuses at once while there is no connection: nothing queues up for a server that is away. */
export class Connection {
  readonly #client: ReturnType<typeof createClient>;
  readonly #onUp: () => void;
  readonly #scripts: readonly Script[];
  #failure: BankFailure | undefined = {
    kind: 'unavailable',
    message: 'Valkey was not reached yet.',
  };
  /** Of a server that is there and refuses (read only, out of memory) or hangs; it is asked until it does not. */
  #refusing: BankFailure | undefined;
  #probe: NodeJS.Timeout | undefined;
  #waiting = 0;
  #isClosed = false;

  constructor(url: string, scripts: readonly Script[], onUp: () => void) {
    this.#onUp = onUp;
    this.#scripts = scripts;
    this.#client = createClient({
      url,
      name: 'postern',
      disableOfflineQueue: true,
      commandsQueueMaxLength: valkeyLimits.waitingMax,
      pingInterval: valkeyLimits.pingMs,
      socket: {
        connectTimeout: valkeyLimits.connectMs,
        socketTimeout: valkeyLimits.silentMsMax,
        reconnectStrategy: (retries) =>
          Math.min(50 * 2 ** Math.min(retries, 10), valkeyLimits.reconnectMsMax),
      },
    });
    this.#client.on('error', (cause: unknown) => this.#failed(cause));
    this.#client.on('ready', () => {
      this.#failure = undefined;
      this.#teach();
      this.#onUp();
    });
  }

  /** Waits a moment for the first connection; later ones come by themselves. */
  async begin(): Promise<void> {
    const connected = this.#client.connect().catch((cause: unknown) => this.#failed(cause));
    await Promise.race([
      connected,
      new Promise((resolve) => setTimeout(resolve, valkeyLimits.connectMs).unref()),
    ]);
  }

  /** Undefined while the server answers. */
  get failure(): BankFailure | undefined {
    return this.#failure ?? this.#refusing;
  }

  /** Also while it refuses: what frees room may be taken all the same. */
  get isThere(): boolean {
    return this.#failure === undefined;
  }

  /** The integers that a script answers with; `unsent` where it certainly did not run. */
  async run(
    script: Script,
    keys: readonly string[],
    words: readonly (string | number)[],
  ): Promise<Result<readonly number[], BankFailure & { readonly unsent?: boolean }>> {
    if (this.#isClosed)
      return err({ kind: 'closed', message: 'The limits were closed.', unsent: true });
    if (!this.#client.isReady) {
      const failure = this.#failure ?? { kind: 'unavailable', message: 'Valkey is away.' };
      return err({ ...failure, unsent: true });
    }
    if (this.#waiting >= valkeyLimits.waitingMax) {
      const message = `${this.#waiting} questions wait for Valkey already.`;
      return err({ kind: 'unavailable', message, unsent: true });
    }
    this.#waiting += 1;
    try {
      const answer = await this.#inTime(this.#evaluate(script, keys, words.map(String)));
      if (!answer.ok) this.#refused(answer.error);
      else if (script === probeScript) this.#writes();
      return answer;
    } catch (cause) {
      if (!(cause instanceof Error) || cause instanceof TypeError) throw cause;
      const failure: BankFailure = {
        kind: 'unavailable',
        message: `Valkey does not answer: ${cause.message}.`,
      };
      this.#refused(failure);
      // What was the primary is none any more: its name may lead to another one by now.
      if (cause.message.startsWith('READONLY'))
        void this.#client.sendCommand(['QUIT']).catch(() => undefined);
      return err(failure);
    } finally {
      this.#waiting -= 1;
    }
  }

  /**
   * Readiness goes by this, and only a trial of ours ends it: a server that has no memory or is read only still answers what it looks up
   * and some of what it writes, and would be ready and not in turn.
   */
  #refused(failure: BankFailure): void {
    this.#refusing = failure;
    if (this.#isClosed) return;
    this.#probe ??= setTimeout(() => {
      this.#probe = undefined;
      if (this.#refusing !== undefined) void this.#try();
    }, valkeyLimits.probeMs).unref();
  }

  #writes(): void {
    if (this.#refusing === undefined) return;
    this.#refusing = undefined;
    this.#onUp();
  }

  /** A write that leaves nothing behind. Without a connection the next one says more. */
  async #try(): Promise<void> {
    const asked = await this.run(probeScript, ['{postern}:probe'], []);
    if (!asked.ok && asked.error.unsent === true) this.#refused(this.#refusing ?? asked.error);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#probe);
    this.#client.destroy();
  }

  /** Before anything else on a new connection, so that no script runs after a later one because its text was missing. */
  #teach(): void {
    // Where it fails, each script is sent whole.
    for (const { text } of this.#scripts)
      void this.#client.sendCommand(['SCRIPT', 'LOAD', text]).catch(() => undefined);
  }

  async #evaluate(
    { text, sha1 }: Script,
    keys: readonly string[],
    words: readonly string[],
  ): Promise<readonly number[]> {
    const rest = [String(keys.length), ...keys, ...words];
    try {
      return numbersOf(await this.#client.sendCommand(['EVALSHA', sha1, ...rest]));
    } catch (cause) {
      if (!(cause instanceof Error) || !cause.message.startsWith('NOSCRIPT')) throw cause;
      return numbersOf(await this.#client.sendCommand(['EVAL', text, ...rest]));
    }
  }

  async #inTime(
    asked: Promise<readonly number[]>,
  ): Promise<Result<readonly number[], BankFailure>> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      // Where this process was too busy to read, the answer is there already: one more turn of the loop takes it.
      timer = setTimeout(() => setImmediate(() => resolve(undefined)), valkeyLimits.answerMs);
    });
    // An answer that comes too late is nobody's.
    asked.catch(() => undefined);
    try {
      const answer = await Promise.race([asked, late]);
      if (answer !== undefined) return ok(answer);
      const message = `Valkey did not answer within ${valkeyLimits.answerMs} ms.`;
      return err({ kind: 'unavailable', message });
    } finally {
      clearTimeout(timer);
    }
  }

  #failed(cause: unknown): void {
    // An error of a connection to several addresses has no message of its own.
    const why =
      cause instanceof Error
        ? cause.message || String('code' in cause ? cause.code : cause.name)
        : String(cause);
    this.#failure = { kind: 'unavailable', message: `Valkey does not answer: ${why}.` };
  }
}

function numbersOf(reply: unknown): readonly number[] {
  return Array.isArray(reply) ? reply.map(Number) : [Number(reply)];
}
