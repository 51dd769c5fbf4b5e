import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ok, onceUnlessItFails } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { refusal } from '@postern/core/errors';
import { principalKey } from '@postern/core/identity';
import { envelopeOf } from '../../control/api/envelope.ts';
import type { Control, Requester } from '../../control/index.ts';
import type { NetworkDesk } from '../../control/network/index.ts';
import type { PolicyTools } from '../../control/policy/index.ts';
import type { AccessPolicy, Identify } from '../../gateway/index.ts';
import type { HttpHandler } from '../../http/index.ts';
import type { Settings } from '../settings.ts';
import { embeddedUrl } from './embedded-url.ts';

/** What begins a path of the engine's API, known without loading it. */
const apiPrefix = '/api/v2/';

export interface ApiDoorOptions {
  readonly control: Control;
  readonly config: Config;
  readonly settings: Settings;
  readonly desk: () => NetworkDesk | undefined;
  readonly policy: PolicyTools;
  readonly identify: Identify;
  readonly access: () => AccessPolicy;
}

/** The control listener with the API of the embedded engine beside what it answers otherwise. */
export function withEngineApi(
  door: { readonly registry?: HttpHandler },
  options: ApiDoorOptions,
): { readonly registry?: HttpHandler } {
  const { config, settings } = options;
  if ((settings.url ?? embeddedUrl(config.engine)) === undefined) return door;
  const otherwise = door.registry ?? nothingElse;
  const api = onceUnlessItFails(() => load(options));
  return {
    registry: async (request, reply) => {
      if (!request.path.startsWith(apiPrefix)) return otherwise(request, reply);
      const handler = await api();
      return handler(request, reply);
    },
  };
}

async function load({
  control,
  settings,
  desk,
  policy,
  identify,
  access,
}: ApiDoorOptions): Promise<HttpHandler> {
  const [{ tailnetApi }, { embeddedEngine }, key] = await Promise.all([
    import('../../control/tailnet-api/index.ts'),
    import('../../control/engine/index.ts'),
    tokenKey(path.join(settings.stateDir, 'engine')),
  ]);
  return tailnetApi({
    control,
    engine: (by) => {
      const running = desk();
      return running === undefined ? undefined : embeddedEngine(control, running, by, policy);
    },
    identify: async (request) => {
      const caller = await identify(request);
      if (!caller.ok) return caller;
      const { subject, scope } = caller.value;
      const by: Requester = {
        actor: { principal: principalKey(subject), channel: 'control' },
        ...(scope === undefined ? {} : { scope }),
        requestId: request.id,
        caller: caller.value,
        connection: request.peer,
      };
      return ok(by);
    },
    permits: (record, operation) =>
      access().mayAdminister({ subject: policy.ports.principalOfKey(record) }, operation),
    mac: (text) => createHmac('sha256', key).update(text).digest('hex'),
  });
}

const keyBytes = 32;

/** Kept, so that a restart ends no token. */
async function tokenKey(folder: string): Promise<Uint8Array> {
  const file = path.join(folder, 'token.key');
  const kept = await readFile(file).catch(() => undefined);
  if (kept?.length === keyBytes) return kept;
  const made = randomBytes(keyBytes);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(file, made, { mode: 0o600 });
  return made;
}

const nothingElse: HttpHandler = ({ path: asked, id }, reply) => {
  const why = refusal('not_found', `There is no ${asked} here.`);
  const { status, headers, body } = envelopeOf(why, id);
  reply.send(status, headers, body);
};
