/**
 * A load generator as a process of its own, so that its work is not counted with the server's: pretended machines on
 * one control server. Commands are lines of JSON on its input, answers lines of JSON on its output.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';
import { ControlClient, newMachine } from './control-client.ts';
import { fetchControlKey } from './control-session.ts';

type Command =
  | {
      readonly do: 'join';
      readonly url: string;
      readonly key: string;
      readonly count: number;
      readonly atOnce: number;
      readonly withinMs?: number;
    }
  | { readonly do: 'change'; readonly index: number; readonly withinMs: number }
  | { readonly do: 'rejoin'; readonly atOnce: number; readonly withinMs: number };

/** One pretended machine, and which peers it has seen. Responses are searched, not parsed: parsing would be the load. */
class Follower {
  client: ControlClient;
  readonly seen: Set<string> = new Set();
  /** A text that it waits for. */
  awaited: { readonly text: Buffer; readonly found: () => void } | undefined;
  readonly #dial: () => Promise<ControlClient>;

  constructor(client: ControlClient, dial: () => Promise<ControlClient>) {
    this.client = client;
    this.#dial = dial;
  }

  /** Follows the map, and again where the server ends the stream or the connection, as stock clients do. */
  follow(): void {
    this.client.onOver = () => {
      reconnects += 1;
      setTimeout(() => void this.#again(), 200 + Math.random() * 800);
    };
    this.client.follow((json) => this.#take(json));
  }

  close(): void {
    this.client.onOver = undefined;
    this.client.close();
  }

  async #again(): Promise<void> {
    try {
      if (this.client.session.isClosed) this.client = await this.#dial();
      this.follow();
    } catch {
      setTimeout(() => void this.#again(), 1_000 + Math.random() * 2_000);
    }
  }

  #take(json: Buffer): void {
    for (let at = json.indexOf(mark); at >= 0; at = json.indexOf(mark, at + 1)) {
      const start = at + mark.length;
      this.seen.add(json.toString('latin1', start, json.indexOf(0x22, start)));
    }
    if (this.awaited !== undefined && json.includes(this.awaited.text)) {
      const { found } = this.awaited;
      this.awaited = undefined;
      found();
    }
  }
}

const mark = Buffer.from('"StableID":"');
const followers: Follower[] = [];
let changes = 0;
/** Streams that a server ended by itself. */
let reconnects = 0;
let joined: Extract<Command, { do: 'join' }> | undefined;

async function join(command: Extract<Command, { do: 'join' }>): Promise<unknown> {
  const { url, key, count, atOnce, withinMs = 600_000 } = command;
  joined = command;
  const controlKey = await fetchControlKey(url);
  const startMs = performance.now();
  const total = followers.length + count;
  let next = followers.length;
  const worker = async (): Promise<void> => {
    while (next < total && performance.now() < startMs + withinMs) {
      const index = next;
      next += 1;
      const machine = newMachine(`m${index}`);
      const dial = (): Promise<ControlClient> =>
        ControlClient.connect({ url, machine, controlKey });
      const client = await dial();
      const answer = await client.register({ authKey: key });
      if (answer.Error) throw new Error(answer.Error);
      const follower = new Follower(client, dial);
      followers.push(follower);
      follower.follow();
      await client.update({ endpoints: [`10.${index >> 8}.${index & 255}.1:41641`] });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const joinedMs = performance.now() - startMs;
  const behind = await untilAllSeeAll(total, startMs + withinMs);
  return { joinedMs, allSeeAllMs: performance.now() - startMs, reconnects, behind };
}

/** How many machines do not see all when the time is over. */
async function untilAllSeeAll(total: number, deadlineMs: number): Promise<number> {
  for (;;) {
    const done = followers.filter(({ seen }) => seen.size >= total).length;
    const behind = total - done;
    if (behind === 0 || performance.now() > deadlineMs) return behind;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function change({ index, withinMs }: Extract<Command, { do: 'change' }>): Promise<unknown> {
  changes += 1;
  const endpoint = `172.16.${changes >> 8}.${changes & 255}:${20_000 + changes}`;
  const one = followers[index];
  if (one === undefined) throw new Error('no such machine');
  const others = followers.filter((each) => each !== one);
  const startMs = performance.now();
  const arrivals: number[] = [];
  const all = Promise.all(
    others.map(
      (each) =>
        new Promise<void>((resolve) => {
          const found = (): void => {
            arrivals.push(performance.now() - startMs);
            resolve();
          };
          each.awaited = { text: Buffer.from(`"${endpoint}"`), found };
        }),
    ),
  );
  const late = new Promise<'late'>((resolve) =>
    setTimeout(() => resolve('late'), withinMs).unref(),
  );
  await one.client.update({ endpoints: [endpoint] });
  const isLate = (await Promise.race([all, late])) === 'late';
  const missed = others.length - arrivals.length;
  return { allMs: isLate ? withinMs : (arrivals.at(-1) ?? 0), missed };
}

/** Everybody loses the connection and comes back, as after a restart of the server. */
async function rejoin({ atOnce, withinMs }: Extract<Command, { do: 'rejoin' }>): Promise<unknown> {
  if (joined === undefined) throw new Error('nobody has joined');
  const { url } = joined;
  const controlKey = await fetchControlKey(url);
  const startMs = performance.now();
  const waiting = followers.splice(0);
  const total = waiting.length;
  for (const each of waiting) each.close();
  const worker = async (): Promise<void> => {
    for (let each = waiting.pop(); each !== undefined; each = waiting.pop()) {
      const { machine } = each.client;
      const dial = (): Promise<ControlClient> =>
        ControlClient.connect({ url, machine, controlKey });
      if (performance.now() > startMs + withinMs) return;
      const client = await dial().catch(() => undefined);
      if (client === undefined) {
        // Refused for now, as by a limit of handshakes: clients try again.
        waiting.unshift(each);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        continue;
      }
      await client.register();
      const follower = new Follower(client, dial);
      followers.push(follower);
      follower.follow();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const behind = await untilAllSeeAll(total, startMs + withinMs);
  return { allSeeAllMs: performance.now() - startMs, behind };
}

async function run(command: Command): Promise<unknown> {
  if (command.do === 'join') return join(command);
  return command.do === 'change' ? change(command) : rejoin(command);
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as Command;
  const answer = await run(command).catch((cause: unknown) => ({ error: String(cause) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
