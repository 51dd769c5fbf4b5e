import { tailscaleEngine } from '../../packages/server/src/adapters/engine-tailscale/index.ts';
import { startTailscaleApi } from '../fakes/tailscale-api.ts';
import { describeEngine } from './contract.ts';
import { secretOf, surroundings } from './surroundings.ts';

for (const kind of ['key', 'client'] as const) {
  describeEngine(`Tailscale by its recorded API, with an ${kind}`, async () => {
    const api = await startTailscaleApi();
    const around = surroundings();
    const { id, secret } = api.client;
    const engine = tailscaleEngine({
      ...around,
      base: new URL(api.url),
      credential:
        kind === 'key' ? { kind, key: secretOf(api.key) } : { kind, id, secret: secretOf(secret) },
    });
    return {
      engine,
      login: 'alice@example.com',
      join: async (key, machine) => void api.join(key, machine),
      edit: (text) => Promise.resolve(api.edit(text)),
      close: async () => {
        await around.close();
        await api.close();
      },
    };
  });
}
