/**
 * The embedded engine with a real store and real sockets on free ports, without the other planes: what tests and
 * benches start. `node test/coordination/rig.ts STATE URL` runs one until it is killed.
 */
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import type { Result } from '@postern/core/base';
import { mintSecretText, secretHint } from '@postern/core/state';
import { openSqliteStore } from '../../packages/server/src/adapters/store-sqlite/index.ts';
import { createNodeSystem } from '../../packages/server/src/adapters/system-node/index.ts';
import type { NetworkPlan } from '../../packages/server/src/app/network/plan.ts';
import { planNetwork } from '../../packages/server/src/app/network/plan.ts';
import type { NetworkPlane } from '../../packages/server/src/app/network/plane.ts';
import { openNetworkPlane } from '../../packages/server/src/app/network/plane.ts';
import type { Control, Requester } from '../../packages/server/src/control/index.ts';
import { createControl } from '../../packages/server/src/control/index.ts';
import type { PutTxtRecord, SignIn } from '../../packages/server/src/coordination/index.ts';
import { createLogger } from '../../packages/server/src/observe/index.ts';

export interface Rig {
  readonly control: Control;
  readonly plane: NetworkPlane;
  readonly url: string;
  /** The text of a new pre-auth key. */
  preAuthKey(options?: Partial<PreAuthOptions>): Promise<string>;
  applyPolicy(text: string): Promise<void>;
  close(): Promise<void>;
}

export interface PreAuthOptions {
  readonly login: string;
  readonly tags: readonly string[];
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly preApproved: boolean;
}

export const operator: Requester = {
  actor: { principal: 'local:uid:0', channel: 'control-socket' },
};

export const allowAll = '{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}';

export async function startRig(options: {
  readonly stateDir: string;
  readonly url?: string;
  readonly plan?: Partial<NetworkPlan>;
  readonly log?: (line: string) => void;
  readonly signIn?: SignIn;
  readonly putTxtRecord?: PutTxtRecord;
}): Promise<Rig> {
  const { stateDir, url = 'http://127.0.0.1:0' } = options;
  const planned = value(
    planNetwork(
      {
        address: options.plan?.address ?? portOf(url),
        stunAddress: '127.0.0.1:0',
        derpAddress: '127.0.0.1:0',
      },
      { url, env: {} },
    ),
  );
  if (planned === undefined) throw new Error('no url');
  const store = value(await openSqliteStore(stateDir));
  const control = value(await createControl({ store, system: createNodeSystem() }));
  const plane = value(
    await openNetworkPlane({
      plan: { ...planned.plan, ...options.plan },
      control,
      stateDir,
      logger: createLogger({
        level: 'info',
        format: 'json',
        write: options.log ?? (() => undefined),
      }),
      newRequestId: () => control.system.newId(),
      putTxtRecord: options.putTxtRecord,
      ...(options.signIn === undefined ? {} : { signIn: options.signIn }),
    }),
  );
  const port = plane.listeners[0]?.port ?? 0;
  return {
    control,
    plane,
    url: `http://127.0.0.1:${port}`,
    preAuthKey: (more) => makePreAuthKey(control, more ?? {}),
    applyPolicy: (text) => applyPolicy(control, text),
    close: async () => {
      await plane.close(0);
      await control.close();
    },
  };
}

async function makePreAuthKey(control: Control, more: Partial<PreAuthOptions>): Promise<string> {
  const { randomBytes, sha256Hex } = control.system;
  const text = `pstauth-${mintSecretText(randomBytes).slice(4)}`;
  const { tags = [] } = more;
  const login = tags.length > 0 ? undefined : (more.login ?? 'alice@example.com');
  value(
    await control.execute(
      {
        kind: 'preauthkey.create',
        digest: sha256Hex(text),
        hint: secretHint(text),
        ...(login === undefined ? {} : { login }),
        tags,
        reusable: more.reusable ?? false,
        ephemeral: more.ephemeral ?? false,
        preApproved: more.preApproved ?? true,
        lifeMs: 3_600_000,
      },
      operator,
    ),
  );
  return text;
}

/** As an operator who took every risk: the desk of `policy apply` is another part. */
async function applyPolicy(control: Control, text: string): Promise<void> {
  const base = control.snapshot().policy.versions[0]?.digest ?? 'none';
  const digest = control.system.sha256Hex(text);
  value(await control.execute({ kind: 'policy.apply', text, digest, base, risk: 'low' }, operator));
}

function portOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === '' ? 0 : port}`;
}

export function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , stateDir = '', url = 'http://127.0.0.1:8090'] = process.argv;
  const rig = await startRig({ stateDir, url, log: (line) => process.stderr.write(line) });
  if (rig.control.snapshot().policy.versions.length === 0) await rig.applyPolicy(allowAll);
  const key = await rig.preAuthKey({ reusable: true });
  process.stdout.write(`${JSON.stringify({ url: rig.url, key })}\n`);
}
