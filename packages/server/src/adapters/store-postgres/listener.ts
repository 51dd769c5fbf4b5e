import { Client } from 'pg';
import { connectionConfig } from './database.ts';
import { postgresLimits } from './limits.ts';

export interface ListenerOptions {
  readonly url: string;
  readonly channels: readonly string[];
  readonly onNotice: (channel: string, payload: string) => void;
  /** The connection was made (again): what was said in between was missed. */
  readonly onConnected: () => void;
}

/** One connection that hears what others notify. It comes back by itself; whoever needs to be sure also looks. */
export class Listener {
  readonly #options: ListenerOptions;
  #client: Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waitMs = 100;
  #isClosed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  async begin(): Promise<void> {
    if (this.#isClosed) return;
    const client = new Client({
      ...connectionConfig(this.#options.url),
      query_timeout: postgresLimits.answerMs,
    });
    const again = (): void => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#later();
    };
    client.on('error', again);
    client.on('end', again);
    client.on('notification', ({ channel, payload }) =>
      this.#options.onNotice(channel, payload ?? ''),
    );
    this.#client = client;
    try {
      await client.connect();
      // oxlint-disable-next-line no-await-in-loop -- a connection does one thing at a time
      for (const channel of this.#options.channels)
        await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
      this.#waitMs = 100;
      this.#options.onConnected();
    } catch {
      again();
      void client.end().catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  #later(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.begin(), this.#waitMs);
    this.#timer.unref();
    this.#waitMs = Math.min(this.#waitMs * 2, postgresLimits.relistenMsMax);
  }
}
