import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { noProtection } from '@postern/core/policy/change';
import { deskOfPlane } from '../../packages/server/src/app/network/desk.ts';
import { embeddedEngine } from '../../packages/server/src/control/engine/index.ts';
import type { PolicyTools } from '../../packages/server/src/control/policy/index.ts';
import { allowAll, operator, startRig } from '../coordination/rig.ts';
import type { EngineUnderTest } from './contract.ts';
import { Machines } from './surroundings.ts';

/** The embedded engine with what stands around it, on free ports. */
export async function startEmbedded() {
  const stateDir = await mkdtemp(path.join(tmpdir(), 'postern-engine-'));
  const rig = await startRig({ stateDir });
  const { control, plane } = rig;
  const desk = deskOfPlane(plane, () => undefined);
  const machines = new Machines(rig.url);
  const policy: PolicyTools = {
    control,
    ports: {
      inventory: () => plane.coordination.inventory(),
      names: () => ({ limits: new Set(), budgets: new Set() }),
      principalOfKey: ({ id, name }) => ({
        authority: 'key',
        id,
        kind: 'key',
        display: name,
        selectors: [],
      }),
      prepare: () => Promise.resolve(),
      builtIn: () => undefined,
      protection: () => noProtection,
      candidate: () =>
        Promise.resolve({ file: 'p', text: undefined, problem: undefined, autoApply: false }),
      approved: () => undefined,
    },
  };
  // From everything to something: that is a change that no second person has to look at.
  await rig.applyPolicy(allowAll);
  // Makes the person, too.
  await rig.preAuthKey({ login: 'alice@example.com' });
  const engine = embeddedEngine(control, desk, operator, policy);
  const under: EngineUnderTest = {
    engine,
    login: 'alice@example.com',
    join: (key, machine) => machines.join(key, machine, engine),
    edit: (text) => rig.applyPolicy(text),
    close: async () => {
      machines.close();
      await rig.close();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
  return { ...under, rig, desk, policy };
}
