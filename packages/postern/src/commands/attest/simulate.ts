import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { parseIntelQuote } from '@postern/core/attest';
import { Simulator, serveAgent } from '@postern/server/adapters/attestor-simulator';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { parseTime } from './flags.ts';
import { misuse } from './judge.ts';

/** 8 to 64 bytes: enough for a seed of one's own, short enough to be typed. */
const seedPattern = /^(?:[0-9a-fA-F]{2}){8,64}$/;
const socketPathMax = 107;

export const run: Run = async (invocation) => {
  const { options, io } = invocation;
  const { socket, seed, out } = options;
  if (typeof socket !== 'string' || typeof seed !== 'string') {
    return misuse(invocation, 'The simulator needs --socket PATH and --seed HEX.');
  }
  if (!seedPattern.test(seed)) return misuse(invocation, '--seed takes 8 to 64 bytes in hex.');
  const at = path.resolve(socket);
  if (Buffer.byteLength(at) > socketPathMax) {
    return misuse(invocation, `The path of a socket has at most ${socketPathMax} bytes.`);
  }
  const now = parseTime(options['now'], Date.now());
  if (!now.ok) return misuse(invocation, now.error);
  const offsetMs = now.value - Date.now();
  const simulator = new Simulator({
    seed: seed.toLowerCase(),
    nowMs: () => Date.now() + offsetMs,
  });
  if (typeof out === 'string') await writeFiles(simulator, out);
  const agent = await serveAgent(simulator, at);
  const facts = {
    simulated: true,
    socket: agent.path,
    root: simulator.rootHash,
    device_id: simulator.deviceId,
    app_id: simulator.app.appId,
    compose_hash: simulator.app.composeHash,
    instance_id: simulator.app.instanceId,
    key_provider: simulator.app.keyProvider.id,
  };
  if (io.json) io.outJson(facts);
  else io.out(factsText(facts));
  await untilSignal();
  await agent.close();
  return exitCodes.ok;
};

function factsText(facts: Readonly<Record<string, string | boolean>>): string {
  const lines = Object.entries(facts).map(([name, value]) => `  ${name.padEnd(14)}${value}`);
  return [
    '*** SIMULATED GUEST AGENT: its evidence proves nothing about any machine ***',
    ...lines,
    '',
    'Point a workload at it with DSTACK_AGENT_ADDRESS. Its evidence counts only with',
    `  --insecure-simulator-root ${String(facts['root'])}`,
  ].join('\n');
}

/** Collateral for its quotes, and a policy that accepts this workload and no other. */
async function writeFiles(simulator: Simulator, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const quote = parseIntelQuote(simulator.quote(new Uint8Array(64)).quote);
  const body = quote.ok ? quote.value.body : undefined;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const measurements =
    body?.kind === 'tdx'
      ? {
          mrtd: hex(body.mrTd),
          rtmr0: hex(body.rtmrs[0]),
          rtmr1: hex(body.rtmrs[1]),
          rtmr2: hex(body.rtmrs[2]),
        }
      : {};
  const policy = {
    platforms: ['tdx'],
    images: [{ name: 'simulated', platform: 'tdx', measurements }],
    apps: [{ appId: simulator.app.appId, composeHashes: [simulator.app.composeHash] }],
    devices: [simulator.deviceId],
    keyProviders: [simulator.app.keyProvider.id],
  };
  const text = `// Accepts the simulated workload. For tests alone.\n${JSON.stringify(policy, undefined, 2)}\n`;
  await writeFile(path.join(folder, 'policy.hujson'), text);
  const collateral = `${JSON.stringify(simulator.collateral(), undefined, 1)}\n`;
  await writeFile(path.join(folder, 'collateral.json'), collateral);
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => resolve();
    process.once('SIGTERM', end);
    process.once('SIGINT', end);
  });
}
