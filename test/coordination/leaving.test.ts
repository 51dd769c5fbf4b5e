import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';
import { allowAll, startRig } from './rig.ts';

test('machines that leave in the middle of a write end nothing but their own streams', async () => {
  const stateDir = await mkdtemp(path.join(tmpdir(), 'postern-leaving-'));
  const rig = await startRig({ stateDir });
  await rig.applyPolicy(allowAll);
  const authKey = await rig.preAuthKey({ reusable: true });
  const clients: ControlClient[] = [];
  for (let round = 0; round < 4; round += 1) {
    const fresh = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const one = await ControlClient.connect({
          url: rig.url,
          machine: newMachine(`leaver-${round}-${i}`),
        });
        await one.register({ authKey });
        one.follow();
        return one;
      }),
    );
    clients.push(...fresh);
    await Promise.all(
      fresh.map((one, i) => one.update({ endpoints: [`192.0.2.${i}:${1_000 + round}`] })),
    );
    // The next flush writes to all of them; half are gone before, in and after it.
    for (const [i, one] of fresh.entries()) if (i % 2 === 0) setTimeout(() => one.close(), i * 3);
    await new Promise((resolve) => setTimeout(resolve, 70));
  }
  expect((await fetch(`${rig.url}/health`)).status).toBe(200);
  await expect.poll(() => rig.plane.coordination.streams).toBe(40);
  // A close while everything is being written.
  await Promise.all(
    clients.filter((_, i) => i % 2 === 1).map((one) => one.update({ endpoints: ['192.0.2.9:9'] })),
  );
  await rig.close();
  for (const one of clients) one.close();
  await rm(stateDir, { recursive: true, force: true });
});
