import { afterAll, beforeAll, describe } from 'vitest';
import { Lab, missingForLab } from './lab.ts';
import { PosternServer, type ServerOptions } from './postern-server.ts';
import { type Found, programs } from './programs.ts';
import { StockClient, type StockOptions } from './stock-client.ts';

/** What every suite of stock clients shares. */
export class Clients {
  readonly lab: Lab;
  readonly clients: StockClient[] = [];
  readonly #programs: Programs;

  constructor(lab: Lab, found: Programs) {
    this.lab = lab;
    this.#programs = found;
  }

  /** A machine with a stock client that has not joined. */
  async addClient(
    name: string,
    options: Partial<StockOptions> & { readonly isYearOld?: boolean } = {},
  ): Promise<StockClient> {
    const { isYearOld = false, ...rest } = options;
    const place = await this.lab.addMachine(name);
    const folder = isYearOld ? this.#programs.yearOld : this.#programs.current;
    const client = await StockClient.start(place, { programs: folder, ...rest });
    this.clients.push(client);
    return client;
  }
}

/** Stock clients on one server of ours. */
export class Network extends Clients {
  readonly server: PosternServer;

  constructor(lab: Lab, server: PosternServer, found: Programs) {
    super(lab, found);
    this.server = server;
  }

  /** A machine that has joined with a fresh key. */
  async join(
    name: string,
    options: Parameters<Clients['addClient']>[1] & {
      readonly key?: Parameters<PosternServer['createKey']>[0];
      readonly up?: readonly string[];
    } = {},
  ): Promise<StockClient> {
    const { key, up = [], ...rest } = options;
    const client = await this.addClient(name, rest);
    await client.up(this.server.url, [`--auth-key=${await this.server.createKey(key)}`, ...up]);
    return client;
  }

  async close(): Promise<void> {
    await this.lab.close();
    await this.server.stop();
  }
}

interface Programs {
  readonly current: string;
  readonly yearOld: string;
}

const found: readonly Found[] = [await programs('tailscale'), await programs('tailscaleYearOld')];
const missing =
  (await missingForLab()) ?? found.flatMap((each) => (each.found ? [] : [each.why]))[0];
const [current = '', yearOld = ''] = found.map((each) => (each.found ? each.folder : ''));

const openMsMax = 120_000;
/** Set by whoever needs these suites to run: a reason to skip is then a failure. */
const isRequired = process.env['POSTERN_REQUIRE_TAILNET'] === '1';

/** A suite in a lab of its own, with servers of its own making. */
export function describeLab(name: string, body: (clients: () => Clients) => void): void {
  describeWhereLab(name, (title) => {
    let clients: Clients | undefined;
    beforeAll(async () => {
      clients = new Clients(await Lab.open(), { current, yearOld });
    }, openMsMax);
    afterAll(async () => {
      await clients?.lab.close();
    });
    body(() => {
      if (clients === undefined) throw new Error(`${title}: the lab is not open`);
      return clients;
    });
  });
}

/** Skipped, with the reason in its name, where no lab can be had. */
function describeWhereLab(name: string, body: (title: string) => void): void {
  if (missing !== undefined && isRequired) throw new Error(`${name}: ${missing}`);
  const title = missing === undefined ? name : `${name} (skipped: ${missing})`;
  describe.skipIf(missing !== undefined)(title, () => body(title));
}

/** A suite on one server of ours in a lab of its own. */
export function describeNetwork(
  name: string,
  options: Omit<ServerOptions, 'place'>,
  body: (network: () => Network) => void,
): void {
  describeWhereLab(name, () => {
    let network: Network | undefined;
    beforeAll(async () => {
      const lab = await Lab.open();
      const server = await PosternServer.start({ ...options, place: lab.hub });
      network = new Network(lab, server, { current, yearOld });
    }, openMsMax);
    afterAll(async () => {
      await network?.close();
    });
    body(() => {
      if (network === undefined) throw new Error('the network is not open');
      return network;
    });
  });
}
