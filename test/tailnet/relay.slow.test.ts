import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Headscale, startHeadscale } from './headscale.ts';
import { Lab, missingForLab } from './lab.ts';
import { type Found, programs } from './programs.ts';
import { type RelayProcess, startRelay } from './relay-process.ts';
import { StockClient } from './stock-client.ts';
import { get, startWebServer } from './web-server.ts';

/** Our relay and STUN alone, with stock clients of both ages that another control server coordinates. */

const found: readonly Found[] = [
  await programs('tailscale'),
  await programs('tailscaleYearOld'),
  await programs('headscale'),
];
const missing =
  (await missingForLab()) ?? found.flatMap((each) => (each.found ? [] : [each.why]))[0];
const folders = found.map((each) => (each.found ? each.folder : ''));
const [current = '', yearOld = '', headscaleFolder = ''] = folders;

describe.skipIf(missing !== undefined)(
  `stock clients on our relay${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let lab: Lab;
    let relay: RelayProcess;
    let headscale: Headscale;
    let a: StockClient;
    let b: StockClient;

    beforeAll(async () => {
      lab = await Lab.open();
      const [placeA, placeB] = [await lab.addMachine('a'), await lab.addMachine('b')];
      relay = await startRelay(lab.hub);
      const { certName, ports } = relay;
      const { address } = lab.hub;
      const names = `hostname: ${address}, ipv4: ${address}, ipv6: none, certname: "${certName}"`;
      const derpNode = `${names}, stunport: ${ports.stun}, derpport: ${ports.derp}`;
      headscale = await startHeadscale(headscaleFolder, { place: lab.hub, derpNode });
      const key = await headscale.createKey();
      a = await StockClient.start(placeA, { programs: current });
      b = await StockClient.start(placeB, { programs: yearOld });
      await Promise.all([a, b].map((client) => client.up(headscale.url, [`--auth-key=${key}`])));
      await a.until('it sees b', ({ Peer }) => Object.keys(Peer ?? {}).length === 1);
      await startWebServer(placeB, 80, 'b says');
    }, 120_000);

    afterAll(async () => {
      await headscale?.stop();
      await lab?.close();
    });

    test('both take the pinned certificate and make the relay their home', async () => {
      await expect.poll(() => relay.figures().relay.homes, { timeout: 15_000 }).toBe(2);
      const netcheck = await a.cli(['netcheck']);
      expect(netcheck.out).toContain('UDP: true');
      expect(netcheck.out).toContain(`IPv4: yes, ${a.place.address}:`);
      expect(relay.figures().stun.answered).toBeGreaterThan(0);
    });

    test('they find a direct path by what they tell each other over it', async () => {
      const ping = await a.cli(['ping', '--c=10', 'b']);
      expect(ping.out).toContain(`via ${b.place.address}:`);
    });

    test('without any direct path they talk over the relay, eight megabytes in a go', async () => {
      await lab.isolate(a.place, true);
      await lab.isolate(b.place, true);
      const ping = await a.cli(['ping', '--until-direct=false', '--c=8', 'b']);
      expect(ping.out).toContain('via DERP(t)');
      const before = relay.figures().relay.bytes;
      const url = `http://${await b.address()}`;
      expect(await get(a.place, url)).toContain('b says');
      const bytes = 8_000_000;
      const start = performance.now();
      expect((await get(a.place, `${url}/?bytes=${bytes}`, 30)).length).toBe(bytes);
      const ms = Math.round(performance.now() - start);
      process.stdout.write(`${bytes} bytes over the relay took ${ms} ms\n`);
      await expect.poll(() => relay.figures().relay.bytes - before).toBeGreaterThan(bytes);
    });

    test('a relay that loses its clients gets them back', async () => {
      expect(relay.figures().relay.connections).toBe(2);
      await b.stopDaemon();
      await expect.poll(() => relay.figures().relay.connections, { timeout: 10_000 }).toBe(1);
      await b.startDaemon();
      await expect.poll(() => relay.figures().relay.homes, { timeout: 20_000 }).toBe(2);
      const ping = await a.cli(['ping', '--until-direct=false', '--c=8', 'b']);
      expect(ping.out).toContain('via DERP(t)');
    });
  },
);
