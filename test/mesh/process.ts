/** A whole Postern whose mesh runs on a simulated machine: a real agent socket, imported collateral, files of trust. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JsonValue } from '@postern/core/base';
import { freePort } from '../fakes/free-port.ts';
import {
  type Simulator,
  serveAgent,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { CollateralService } from '../../packages/server/src/adapters/collateral-intel/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/index.ts';
import { policy, trust } from './world.ts';

/** What a mesh needs of a machine. */
export interface SimulatedMachine {
  readonly stateDir: string;
  /** For `mesh` of a configuration: `identity` and `trust`. */
  readonly mesh: Record<string, JsonValue>;
  close(): Promise<void>;
}

/** The appraisal policy of these tests as a file. */
export const appraisalText: string = JSON.stringify({
  platforms: ['tdx'],
  images: policy.images,
  apps: policy.apps,
  devices: policy.devices,
  keyProviders: policy.keyProviders,
});

export async function simulatedMachine(simulator: Simulator): Promise<SimulatedMachine> {
  const stateDir = await mkdtemp(path.join(tmpdir(), 'postern-mesh-'));
  const agent = await serveAgent(simulator, path.join(stateDir, 'dstack.sock'));
  const appraisalFile = path.join(stateDir, 'appraisal.hujson');
  await writeFile(appraisalFile, appraisalText);
  await importCollateral(simulator, stateDir);
  return {
    stateDir,
    mesh: {
      identity: { agent: agent.path },
      trust: { appraisalFile, insecureSimulatorRoot: simulator.rootHash },
    },
    close: async () => {
      await agent.close();
      await rm(stateDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export async function importCollateral(simulator: Simulator, stateDir: string): Promise<void> {
  const folder = path.join(stateDir, 'collateral', 'intel');
  await mkdir(folder, { recursive: true });
  const service = new CollateralService({
    folder,
    crypto: nodeCrypto,
    pins: trust.anchors.intel,
    nowMs: Date.now,
    remote: undefined,
  });
  const imported = await service.import(Buffer.from(JSON.stringify(simulator.collateral())));
  if (!imported.ok) throw new Error(JSON.stringify(imported.error));
}

/** Ports that are free now. */
export function freePorts(count: number): Promise<number[]> {
  return Promise.all(Array.from({ length: count }, () => freePort()));
}
