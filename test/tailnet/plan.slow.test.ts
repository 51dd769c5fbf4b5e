/** Plans of `postern network plan`, loaded by the programs that they are for, in a machine of their own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  Environment,
  FirewallPlan,
  Role,
} from '../../packages/server/src/app/machine/index.ts';
import {
  asIptables,
  asNftables,
  asUfw,
  environments,
  planFirewall,
  planSources,
  roles,
} from '../../packages/server/src/app/machine/index.ts';
import { resolveSettings } from '../../packages/server/src/app/settings.ts';
import { Lab, missingForLab, type Place } from './lab.ts';

const missing = await missingForLab();
const title = (text: string): string =>
  missing === undefined ? text : `${text} (skipped: ${missing})`;
const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');

const config = {
  providers: {
    'instant-gpu': { kind: 'openai', baseUrl: 'http://10.203.0.4:8080/v1' },
    claude: { kind: 'anthropic' },
  },
  aliases: { instant: ['instant-gpu/llama'] },
  publicEdge: { address: ':8000', hosts: ['api.example.com'], tls: 'balancer' },
  trustedProxies: ['10.203.0.3'],
  store: { postgres: { url: { env: 'DB' } } },
};
const policy = {
  groups: { 'group:devs': ['alice@example.com'] },
  tagOwners: { 'tag:gateway': [], 'tag:node': [] },
  grants: [
    { src: ['group:devs'], dst: ['tag:gateway'], ip: ['tcp:80'] },
    { src: ['tag:gateway'], dst: ['tag:node'], ip: ['tcp:8080'] },
  ],
};

describe.skipIf(missing !== undefined)(title('firewalls of a plan'), () => {
  let lab: Lab;
  let gateway: Place;
  let balancer: Place;
  let gpu: Place;
  let stateDir: string;

  beforeAll(async () => {
    lab = await Lab.open();
    // In the order of their addresses: 10.203.0.2, .3, .4.
    gateway = await lab.addMachine('gateway');
    balancer = await lab.addMachine('balancer');
    gpu = await lab.addMachine('gpu');
    stateDir = await mkdtemp('/tmp/plan-');
    await writeFile(path.join(stateDir, 'postern.hujson'), JSON.stringify(config));
    await writeFile(path.join(stateDir, 'policy.hujson'), JSON.stringify(policy));
  }, 60_000);
  afterAll(async () => {
    await lab?.close();
    await rm(stateDir, { recursive: true, force: true });
  });

  /** As the command makes it, without a process for each. */
  async function plan(
    environment: Environment,
    role: Role,
    render: (made: FirewallPlan) => string = (made) => asNftables(made, role),
  ): Promise<string> {
    const env = { POSTERN_STATE: stateDir, DB: 'postgresql://u:secret@10.203.0.9/x' };
    const settings = resolveSettings({}, env);
    const sources = await planSources({ environment, settings, gateway: ['10.203.0.2/32'] });
    if (!sources.ok) throw new Error(sources.error);
    return render(planFirewall(sources.value));
  }

  for (const environment of environments) {
    test(`${environment}: nft, iptables and ip6tables take it, for both machines`, async () => {
      for (const role of roles) {
        for (const [name, render, command] of [
          ['nft', (made: FirewallPlan) => asNftables(made, role), ['nft', '-c', '-f']],
          ['4', (made: FirewallPlan) => asIptables(made, role, 4), ['iptables-restore', '--test']],
          ['6', (made: FirewallPlan) => asIptables(made, role, 6), ['ip6tables-restore', '--test']],
          ['sh', (made: FirewallPlan) => asUfw(made, role), ['sh', '-n']],
        ] as const) {
          const file = path.join(lab.folder, `${environment}-${role}.${name}`);
          const text = await plan(environment, role, render);
          expect(text).not.toContain('secret');
          await writeFile(file, text);
          await gpu.must([...command, file]);
        }
      }
    }, 60_000);
  }

  test('production: the balancer reaches the gateway and nobody else; the gateway reaches its model', async () => {
    const listen = (place: Place, port: number): void => {
      place.start([
        process.execPath,
        '-e',
        `require("net").createServer((s)=>s.on("error",()=>0).end("hi")).listen(${port})`,
      ]);
    };
    const reaches = async (from: Place, to: Place, port: number): Promise<boolean> => {
      const script = `exec 3<>/dev/tcp/${to.address}/${port}`;
      return (await from.run(['timeout', '3', 'bash', '-c', script])).code === 0;
    };
    listen(gateway, 8_000);
    listen(gateway, 22);
    listen(gpu, 8_080);
    for (const [to, port] of [
      [gateway, 8_000],
      [gateway, 22],
      [gpu, 8_080],
    ] as const) {
      await expect.poll(() => reaches(balancer, to, port), { timeout: 20_000 }).toBe(true);
    }
    expect(await reaches(gpu, gateway, 8_000)).toBe(true);
    for (const [place, role] of [
      [gateway, 'gateway'],
      [gpu, 'inference'],
    ] as const) {
      const file = path.join(lab.folder, `${role}.nft`);
      await writeFile(file, await plan('production', role));
      await place.must(['nft', '-f', file]);
      // Loading it again replaces it.
      await place.must(['nft', '-f', file]);
    }
    expect(await reaches(balancer, gateway, 8_000)).toBe(true);
    expect(await reaches(gpu, gateway, 8_000)).toBe(false);
    expect(await reaches(balancer, gateway, 22)).toBe(false);
    expect(await reaches(gateway, gpu, 8_080)).toBe(true);
    expect(await reaches(balancer, gpu, 8_080)).toBe(false);
  }, 60_000);

  test('what listens beside the plan is named', async () => {
    const env = ['env', `POSTERN_STATE=${stateDir}`, 'DB=postgresql://u:secret@10.203.0.9/x'];
    const words = ['--json', 'network', 'plan', '--env', 'production', '--compare'];
    const said = await gateway.run([...env, process.execPath, main, ...words]);
    expect(said.code, said.out + said.err).toBe(1);
    expect(JSON.parse(said.out)).toEqual([
      { port: 22, hosts: ['::'], planned: false, verdict: 'not in the plan' },
      { port: 8_000, hosts: ['::'], planned: true, verdict: 'as planned' },
    ]);
  }, 120_000);
});
