/**
 * The control state, the coordination plane, relay and STUN of Postern as a process of their own, for tests and
 * measurements: `node server-main.ts STATE URL`. Commands come as JSON over `STATE/c`, a unix socket.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { policyHash } from '@postern/core/policy/change';
import { type Command, policyDigest } from '@postern/core/state';
import { openSqliteStore } from '../../packages/server/src/adapters/store-sqlite/index.ts';
import { createNodeSystem } from '../../packages/server/src/adapters/system-node/index.ts';
import { planNetwork } from '../../packages/server/src/app/network/plan.ts';
import { openNetworkPlane } from '../../packages/server/src/app/network/plane.ts';
import {
  type Control,
  createControl,
  type Requester,
} from '../../packages/server/src/control/index.ts';
import { createLogger } from '../../packages/server/src/observe/index.ts';

const [state = '', url = ''] = process.argv.slice(2);
const by: Requester = { actor: { principal: 'local:uid:0', channel: 'control-socket' } };

/** What a test asks for: a command of the state, a policy to put in force, or figures. */
type Ask = { readonly command: Command } | { readonly policy: string } | { readonly figures: true };

async function main(): Promise<void> {
  const store = must(await openSqliteStore(state));
  const system = createNodeSystem();
  const control = must(await createControl({ store, system }));
  const engine = JSON.parse(process.env['POSTERN_TEST_ENGINE'] ?? '{}') as Record<string, never>;
  const plan = must(planNetwork(engine, { url, env: process.env }))?.plan;
  if (plan === undefined) throw new Error('no plan');
  const logger = createLogger({
    level: 'warn',
    format: 'json',
    write: (line) => process.stderr.write(line),
  });
  const plane = must(
    await openNetworkPlane({
      plan,
      control,
      stateDir: state,
      logger,
      newRequestId: system.newId,
    }),
  );
  const answer = async (ask: Ask): Promise<unknown> => {
    if ('command' in ask) return control.execute(ask.command, by);
    if ('policy' in ask) return applyPolicy(control, ask.policy);
    const { streams, channels } = plane.coordination;
    return { streams, channels, cpu: process.cpuUsage(), memory: process.memoryUsage() };
  };
  createServer((request, response) => {
    void bodyOf(request)
      .then((text) => answer(JSON.parse(text) as Ask))
      .then(
        (value) => response.end(JSON.stringify(value)),
        (cause: unknown) => response.writeHead(500).end(String(cause)),
      );
  }).listen(path.join(state, 'c'), () => process.stdout.write('ready\n'));
}

function applyPolicy(control: Control, text: string): Promise<unknown> {
  const digest = policyHash(text, { sha256Hex: digestOf });
  const base = policyDigest(control.snapshot().policy);
  return control.execute({ kind: 'policy.apply', text, digest, base, risk: 'low' }, by);
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  // A request without an encoding gives buffers.
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function must<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

await main();
