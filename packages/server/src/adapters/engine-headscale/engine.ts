import type { Result, Secret } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { EngineFacts, NetworkEngine } from '../../control/engine/index.ts';
import { capabilitiesOf } from '../../control/engine/index.ts';
import { apiV2, read, RemoteApi } from '../../control/engine/remote/index.ts';
import type { Egress } from '../../http/index.ts';
import { versionShape } from './shapes.ts';
import { apiV1 } from './v1.ts';

export interface HeadscaleEngineOptions {
  /** Its `server_url`, by which machines join; the API is there too. */
  readonly url: URL;
  /** Read for every call: a key that was replaced counts at once. */
  readonly key: () => Promise<Result<Secret, Refusal>>;
  readonly egress: Egress;
  readonly nowMs: () => number;
  readonly wait: (ms: number) => Promise<void>;
}

type Calls = ReturnType<typeof apiV1>;

/** From this minor release on it speaks the API v2, and stops to answer some questions of v1. */
const v2Since = 30;

/**
 * Headscale. Which API it speaks is asked with the first call and again after it was away, since that is when it may
 * have been replaced: by its version, else (a build without one) by trying.
 */
export function headscaleEngine(options: HeadscaleEngineOptions): NetworkEngine {
  const { url, key, egress, nowMs, wait } = options;
  const api = new RemoteApi({
    name: `Headscale at ${url.origin}`,
    base: url,
    egress,
    wait,
    authorize: async () => {
      const read = await key();
      return read.ok ? ok({ authorization: `Bearer ${read.value.reveal()}` }) : read;
    },
    renews: false,
    credentialFix:
      'Make another one (headscale apikeys create --expiration 90d) and give it as HEADSCALE_API_KEY.',
    addressFix: 'Does it run, and is HEADSCALE_URL (engine.headscale.url) where it listens?',
  });
  const v1 = apiV1(api, nowMs);
  const v2: Calls = { ...apiV2(api), ...keptOfV1(v1) };
  let known: EngineFacts | undefined;
  const spoken = async (): Promise<Result<{ calls: Calls; facts: EngineFacts }, Refusal>> => {
    if (known === undefined) {
      const asked = await detect(api);
      if (!asked.ok) return asked;
      known = asked.value;
    }
    return ok({ calls: known.api === 'v2' ? v2 : v1, facts: known });
  };
  const by =
    <A extends readonly unknown[], T>(
      pick: (calls: Calls) => (...args: A) => Promise<Result<T, Refusal>>,
    ) =>
    async (...args: A): Promise<Result<T, Refusal>> => {
      const found = await spoken();
      if (!found.ok) return found;
      const result = await pick(found.value.calls)(...args);
      if (!result.ok && result.error.code === 'upstream_unavailable') known = undefined;
      return result;
    };
  return {
    kind: 'headscale',
    url: url.origin,
    get capabilities() {
      return capabilitiesOf[known?.api === 'v2' ? 'headscale-v2' : 'headscale-v1'];
    },
    look: async () => {
      known = undefined;
      const found = await spoken();
      return found.ok ? ok(found.value.facts) : found;
    },
    createAuthKey: by((calls) => calls.createAuthKey),
    listAuthKeys: by((calls) => calls.listAuthKeys),
    getAuthKey: by((calls) => calls.getAuthKey),
    revokeAuthKey: by((calls) => calls.revokeAuthKey),
    listDevices: by((calls) => calls.listDevices),
    getDevice: by((calls) => calls.getDevice),
    deleteDevice: by((calls) => calls.deleteDevice),
    setTags: by((calls) => calls.setTags),
    authorize: by((calls) => calls.authorize),
    rename: by((calls) => calls.rename),
    setRoutes: by((calls) => calls.setRoutes),
    expireKey: by((calls) => calls.expireKey),
    getPolicy: by((calls) => calls.getPolicy),
    setPolicy: by((calls) => calls.setPolicy),
    checkPolicy: by((calls) => calls.checkPolicy),
    previewPolicy: by((calls) => calls.previewPolicy),
    getDns: by((calls) => calls.getDns),
    setDns: by((calls) => calls.setDns),
    listUsers: by((calls) => calls.listUsers),
    getSettings: by((calls) => calls.getSettings),
    setSettings: by((calls) => calls.setSettings),
  };
}

/** What its API v2 lacks and its own API has; machines and keys have the same ids in both. */
function keptOfV1(v1: Calls) {
  const { createAuthKey, listAuthKeys, getAuthKey, revokeAuthKey, expireKey, checkPolicy } = v1;
  const { previewPolicy, getDns, setDns, authorize, setSettings } = v1;
  return {
    createAuthKey,
    listAuthKeys,
    getAuthKey,
    revokeAuthKey,
    expireKey,
    checkPolicy,
    previewPolicy,
    getDns,
    setDns,
    authorize,
    setSettings,
  };
}

/** The version is public; a question that needs the key shows at once whether the key counts. */
async function detect(api: RemoteApi): Promise<Result<EngineFacts, Refusal>> {
  const told = await read(api, versionShape, api.call({ method: 'GET', path: '/version' }));
  if (!told.ok && told.error.code !== 'not_found') return told;
  const version = told.ok ? told.value.version : '';
  const minor = Number(/^v?0\.(\d+)\./.exec(version)?.[1] ?? Number.NaN);
  if (!Number.isNaN(minor)) {
    const speaks = minor >= v2Since ? 'v2' : 'v1';
    const path = speaks === 'v2' ? '/api/v2/tailnet/-/settings' : '/api/v1/user';
    const asked = await api.call({ method: 'GET', path });
    return asked.ok ? ok({ version, api: speaks }) : asked;
  }
  const tried = await api.ask({ method: 'GET', path: '/api/v2/tailnet/-/settings' });
  if (!tried.ok) return tried;
  if (tried.value.status === 200) return ok({ version, api: 'v2' });
  const asked = await api.call({ method: 'GET', path: '/api/v1/user' });
  return asked.ok ? ok({ version, api: 'v1' }) : asked;
}
