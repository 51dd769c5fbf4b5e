import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { DstackAgent, findAgent } from '../../adapters/attestor-dstack/index.ts';
import { writeWhole } from '../joining/steps.ts';
import type { Settings } from '../settings.ts';
import { policyFileOf } from '../settings.ts';
import type { Decision, Place } from './role.ts';
import { decideRole } from './role.ts';

/** A decision, with what was written for it. */
export interface Prepared {
  readonly decision: Decision;
  /** The configuration to start with; undefined: as without any. */
  readonly configFile: string | undefined;
  /** What was written, for people. */
  readonly wrote: readonly string[];
}

const agentMsMax = 3_000;

/** Decides, and writes configuration and policy where the role needs some and nobody wrote any. */
export async function prepareRole(
  settings: Settings,
  { insecureAnyApp, isDry }: { readonly insecureAnyApp: boolean; readonly isDry: boolean },
): Promise<Prepared> {
  const { env, stateDir } = settings;
  const generated = path.join(stateDir, 'auto.hujson');
  const configFile = settings.configFile === generated ? undefined : settings.configFile;
  const isMeshed = (env['VPC_SERVER_ENABLED'] ?? '') !== '' || (env['VPC_NODE_NAME'] ?? '') !== '';
  const place: Place = {
    configFile,
    appraisalFile: inState(stateDir, 'appraisal.hujson'),
    kmsRootsFile: inState(stateDir, 'kms-roots.pem'),
    self: isMeshed ? await askSelf(env) : undefined,
    insecureAnyApp,
  };
  const decision = decideRole(env, place);
  const wrote: string[] = [];
  if (decision.problems.length > 0) return { decision, configFile, wrote };
  if (decision.config === undefined || isDry) return { decision, configFile, wrote };
  await writeWhole(generated, `${JSON.stringify(decision.config, null, 2)}\n`);
  wrote.push(`${generated}: what these variables say, as a configuration`);
  const policyFile = policyFileOf({ configFile: generated, stateDir });
  if (decision.policy !== undefined && !existsSync(policyFile)) {
    await writeWhole(policyFile, `${JSON.stringify(decision.policy, null, 2)}\n`);
    wrote.push(`${policyFile}: nodes reach nodes, and nobody else anything; yours from here on`);
  }
  return { decision, configFile: generated, wrote };
}

function inState(stateDir: string, name: string): string | undefined {
  const file = path.join(stateDir, name);
  return existsSync(file) ? file : undefined;
}

/** Which app this is, by its guest agent. */
async function askSelf(env: Settings['env']): Promise<Place['self']> {
  const address = findAgent(env, existsSync)?.address;
  if (address === undefined) return undefined;
  const agent = new DstackAgent({ address });
  const info = await agent.info(AbortSignal.timeout(agentMsMax));
  return info.ok ? { appId: info.value.appId, instanceId: info.value.instanceId } : undefined;
}

/** The folder for what the node is on the network: where it was asked for if that can be written, else in the state. */
export async function statusFolder(wanted: string, stateDir: string): Promise<string> {
  try {
    await access(wanted, constants.W_OK);
    return wanted;
  } catch {
    return path.join(stateDir, 'join', 'shared');
  }
}
