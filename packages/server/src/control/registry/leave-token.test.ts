import { createHash } from 'node:crypto';
import { ok, Secret } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import { expect, test } from 'vitest';
import type { Device, NetworkEngine } from '../engine/index.ts';
import { leaveToken, removeDevice } from './leave-token.ts';

const groupKey = (type: string, epoch: number) =>
  Promise.resolve(ok(new Secret(createHash('sha256').update(`${type}#${epoch}`).digest('base64'))));
const joining = { uuid: 'gpu-1', owner: 'key:box', keyId: 'k7' };

/** An engine of which only machines are asked. */
function engineWith(devices: { id: string; authKeyId?: string }[], problem?: string) {
  const engine = {
    listDevices: () =>
      Promise.resolve(
        problem === undefined ? ok(devices) : refuse('upstream_unavailable', problem),
      ),
    deleteDevice: (id: string) => {
      const at = devices.findIndex((each) => each.id === id);
      if (at < 0) return Promise.resolve(refuse('not_found', 'gone'));
      devices.splice(at, 1);
      return Promise.resolve(ok(undefined));
    },
  };
  // Nothing else of it is called.
  return engine as unknown as NetworkEngine & { listDevices: () => Promise<Device[]> };
}

async function token(): Promise<string> {
  const made = await leaveToken(groupKey, joining);
  if (!made.ok) throw new Error(made.error.message);
  return made.value.reveal();
}

test('whoever shows the token of its join is forgotten at the engine, once', async () => {
  const devices = [{ id: 'n1' }, { id: 'n2', authKeyId: 'k7' }, { id: 'n3', authKeyId: 'k8' }];
  const engine = engineWith(devices);
  const end = () => token().then((text) => removeDevice({ groupKey, engine }, joining, text));
  expect(await end()).toEqual(ok({ device: 'removed' }));
  expect(devices.map(({ id }) => id)).toEqual(['n1', 'n3']);
  expect(await end()).toEqual(ok({ device: 'absent' }));
});

test.each([
  ['of another machine', { ...joining, uuid: 'gpu-2' }, undefined],
  ['of another owner', { ...joining, owner: 'key:other' }, undefined],
  ['with another key in it', joining, (text: string) => text.replace('k7', 'k8')],
  ['that is none', joining, () => 'k7'],
  ['without a key', joining, () => '.x'],
])('a token %s removes nothing', async (_what, by, change) => {
  const devices = [
    { id: 'n2', authKeyId: 'k7' },
    { id: 'n3', authKeyId: 'k8' },
  ];
  const text = await token();
  const said = change === undefined ? text : change(text);
  const done = await removeDevice({ groupKey, engine: engineWith(devices) }, by, said);
  expect(done).toMatchObject({ error: { code: 'access_denied', param: 'leave_token' } });
  expect(devices).toHaveLength(2);
});

test('an engine that is away keeps the machine, and the answer says why', async () => {
  const text = await token();
  const engine = engineWith([], 'Headscale does not answer.');
  expect(await removeDevice({ groupKey, engine }, joining, text)).toEqual(
    ok({ device: 'kept', why: 'Headscale does not answer.' }),
  );
  expect(await removeDevice({ groupKey, engine: undefined }, joining, text)).toMatchObject({
    value: { device: 'kept' },
  });
});
