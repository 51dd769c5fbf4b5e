import { createHmac, randomBytes } from 'node:crypto';
import { createIdentityMap, principalKey } from '@postern/core/identity';
import { ok } from '@postern/core/base';
import { createKeyAuthenticator } from '../../packages/server/src/adapters/identity-keys/index.ts';
import { embeddedEngine } from '../../packages/server/src/control/engine/index.ts';
import type { Requester } from '../../packages/server/src/control/index.ts';
import { createKey } from '../../packages/server/src/control/index.ts';
import { tailnetApi } from '../../packages/server/src/control/tailnet-api/index.ts';
import { createIdentify } from '../../packages/server/src/gateway/index.ts';
import { openListener } from '../../packages/server/src/http/index.ts';
import { operator } from '../coordination/rig.ts';
import { value } from './contract.ts';
import { startEmbedded } from './embedded-engine.ts';

/** The embedded engine's own API v2 behind a real listener. */
export async function startApi() {
  const embedded = await startEmbedded();
  const { rig, desk, policy } = embedded;
  const { control } = rig;
  const identityMap = createIdentityMap([]);
  const identify = createIdentify({
    keys: createKeyAuthenticator({
      state: () => control.snapshot(),
      identityMap: () => identityMap,
    }),
    owner: { authority: 'local', id: 'uid:0', kind: 'operator', display: 'root', selectors: [] },
  });
  const secret = randomBytes(32);
  /** What the policy lets keys do that do not go back to the owner. */
  const permitted = new Set<string>();
  const opened = await openListener({
    kind: 'control',
    bind: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    handler: tailnetApi({
      control,
      engine: (by) => embeddedEngine(control, desk, by, policy),
      identify: async (request) => {
        const caller = await identify(request);
        if (!caller.ok) return caller;
        const { subject, scope } = caller.value;
        const by: Requester = {
          actor: { principal: principalKey(subject), channel: 'control' },
          ...(scope === undefined ? {} : { scope }),
          caller: caller.value,
        };
        return ok(by);
      },
      permits: (_, operation) => permitted.has(operation),
      mac: (text) => createHmac('sha256', secret).update(text).digest('hex'),
    }),
    hosts: undefined,
    trustedProxies: [],
    onlyTrustedProxies: false,
    believedHeaders: [],
    newRequestId: () => control.system.newId(),
    nowMs: control.system.nowMs,
    limits: { connectionsMax: 100, bodyPauseMsMax: 10_000, connectionsPerSourceMax: 100 },
    encodedSlashUnder: [],
    onFault: (fault) => {
      throw fault;
    },
    onRefused: () => undefined,
  });
  if (!opened.ok) throw new Error(opened.error.message);
  const listener = opened.value;
  const keyOf = async (name: string, admin: boolean): Promise<string> => {
    const made = await createKey(control, { name, scope: { admin }, boundTo: [] }, operator);
    return value(made).secret.reveal();
  };
  return {
    ...embedded,
    url: `http://${listener.address}`,
    permitted,
    adminKey: await keyOf('admin', true),
    plainKey: await keyOf('plain', false),
    close: async () => {
      await listener.close(0);
      await embedded.close();
    },
  };
}
