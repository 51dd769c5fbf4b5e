import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { outcomeOf } from '../audit.ts';
import type { Control, Requester } from '../control.ts';
import type { NetworkEngine } from './ports.ts';

/** Changes of an engine that others run are in no journal of ours: each has its line in the audit log all the same. */
export function recordedEngine(
  engine: NetworkEngine,
  control: Control,
  by: Requester,
): NetworkEngine {
  const recorded =
    <A extends readonly unknown[], T>(
      operation: string,
      run: (...args: A) => Promise<Result<T, Refusal>>,
    ) =>
    async (...args: A): Promise<Result<T, Refusal>> => {
      const result = await run(...args);
      const outcome = result.ok
        ? ({ outcome: 'allowed' } as const)
        : { outcome: outcomeOf(result.error.code), code: result.error.code };
      control.record({
        atMs: control.system.nowMs(),
        operation: `engine.${operation}`,
        actor: by.actor,
        ...(by.requestId === undefined ? {} : { requestId: by.requestId }),
        ...outcome,
      });
      return result;
    };
  return {
    kind: engine.kind,
    url: engine.url,
    get capabilities() {
      return engine.capabilities;
    },
    look: () => engine.look(),
    createAuthKey: recorded('key.create', (request) => engine.createAuthKey(request)),
    listAuthKeys: () => engine.listAuthKeys(),
    getAuthKey: (id) => engine.getAuthKey(id),
    revokeAuthKey: recorded('key.revoke', (id) => engine.revokeAuthKey(id)),
    listDevices: () => engine.listDevices(),
    getDevice: (id) => engine.getDevice(id),
    deleteDevice: recorded('node.delete', (id) => engine.deleteDevice(id)),
    setTags: recorded('node.tag', (id, tags) => engine.setTags(id, tags)),
    authorize: recorded('node.approve', (id) => engine.authorize(id)),
    rename: recorded('node.rename', (id, name) => engine.rename(id, name)),
    setRoutes: recorded('node.routes', (id, routes) => engine.setRoutes(id, routes)),
    expireKey: recorded('node.expire', (id) => engine.expireKey(id)),
    getPolicy: () => engine.getPolicy(),
    setPolicy: recorded('policy.set', (text, ifMatch) => engine.setPolicy(text, ifMatch)),
    checkPolicy: (text) => engine.checkPolicy(text),
    previewPolicy: (request) => engine.previewPolicy(request),
    getDns: () => engine.getDns(),
    setDns: recorded('dns.set', (dns) => engine.setDns(dns)),
    listUsers: () => engine.listUsers(),
    getSettings: () => engine.getSettings(),
    setSettings: recorded('settings.set', (settings) => engine.setSettings(settings)),
  };
}
