import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../fakes/free-port.ts';
import type { TestGateway } from './gateway.ts';
import { everyKey, startGateway } from './gateway.ts';
import { bearer, closers } from './registry-fixture.ts';

/** A port that is free, held until `free` is called. */
async function holdPort(): Promise<{ port: number; free: () => Promise<void> }> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  // A TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  return { port, free: () => new Promise((done) => server.close(() => done())) };
}

async function gateway(config: Record<string, unknown> = {}): Promise<TestGateway> {
  const started = await startGateway({ policy: everyKey, config });
  closers.push(() => started.stop());
  return started;
}

async function reload(one: TestGateway, config: Record<string, unknown>): Promise<unknown> {
  const file = path.join(one.stateDir, 'postern.hujson');
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  const { body } = await one.control('POST', '/api/v1/config/reload');
  // The watcher of the file may have been there before; the message is then about nothing new.
  return body['message'];
}

async function status(port: number, secret: string): Promise<number> {
  const url = `http://127.0.0.1:${port}/api/v1/registry/types`;
  return fetch(url, { headers: bearer(secret) }).then(
    (response) => response.status,
    () => 0,
  );
}

test('a registry that a reload adds is there, and gone with the reload that takes it away', async () => {
  const one = await gateway();
  const key = await one.key('box', { join: ['*'] });
  const [first, second] = [await freePort(), await freePort()];
  const at = (port: number) => ({ registry: { address: `127.0.0.1:${port}` } });
  expect(await status(first, key)).toBe(0);
  await reload(one, at(first));
  await expect.poll(() => status(first, key)).toBe(200);
  await reload(one, at(second));
  await expect.poll(() => status(second, key)).toBe(200);
  expect(await status(first, key)).toBe(0);
  await reload(one, {});
  await expect.poll(() => status(second, key)).toBe(0);
  await reload(one, at(first));
  await expect.poll(() => status(first, key)).toBe(200);
});

test('nodes outlive a reload that changes the rules of the registry, and its listener stays', async () => {
  const port = await freePort();
  const at = (networks: string[]) => ({ registry: { address: `127.0.0.1:${port}`, networks } });
  const one = await gateway(at(['127.0.0.0/8']));
  const secret = await one.key('box', { join: ['*'] });
  const put = (uuid: string, address: string) =>
    fetch(`http://127.0.0.1:${port}/api/v1/registry/nodes/${uuid}`, {
      method: 'PUT',
      headers: bearer(secret),
      body: JSON.stringify({ node_type: 'instant', hostname: uuid, addresses: [address] }),
    }).then((response) => response.status);
  expect(await put('a', '127.0.0.1')).toBe(200);
  expect(await put('b', '10.0.0.1')).toBe(400);
  await reload(one, at(['127.0.0.0/8', '10.0.0.0/8']));
  await expect.poll(() => put('b', '10.0.0.1')).toBe(200);
  const found = await fetch(`http://127.0.0.1:${port}/api/v1/registry/discover/instant`, {
    headers: bearer(secret),
  });
  expect(await found.json()).toMatchObject({ count: 2 });
});

test('where its port is taken, the reload says so and the registry stays where it was', async () => {
  const port = await freePort();
  const one = await gateway({ registry: { address: `127.0.0.1:${port}` } });
  const key = await one.key('box', { join: ['*'] });
  const taken = await holdPort();
  closers.push(() => taken.free());
  await reload(one, { registry: { address: `127.0.0.1:${taken.port}` } });
  const line = await one.logged(
    (each) => Array.isArray(each['pending']) && each['pending'].length > 0,
  );
  expect(JSON.stringify(line['pending'])).toMatch(/the registry does not listen where it should/);
  expect(await status(port, key)).toBe(200);
});
