import { parseConfig } from '@postern/core/contract';
import { describe, expect, test } from 'vitest';
import type { Place } from './index.ts';
import { decideRole, readTailscaleEnv } from './index.ts';

const appId = '8c19e4b92f7d0f5a6b3c1d2e3f4a5b6c7d8e9f00';
const place: Place = {
  configFile: undefined,
  appraisalFile: '/data/appraisal.hujson',
  kmsRootsFile: undefined,
  self: { appId, instanceId: 'ab'.repeat(20) },
  insecureAnyApp: false,
};
const server = { VPC_SERVER_ENABLED: 'true', VPC_SERVER_URL: 'https://vpn.example.com' };
const node = { VPC_NODE_NAME: 'my-node', VPC_SERVER_APP_ID: 'self' };

describe('the role by the environment', () => {
  test('is the gateway where no variable says otherwise', () => {
    const decided = decideRole({}, place);
    expect(decided).toMatchObject({ roles: ['gateway'], problems: [], joins: false });
    expect(decided.config).toBeUndefined();
    expect(decideRole({ VPC_SERVER_ENABLED: 'false' }, place).roles).toEqual(['gateway']);
  });

  test('is the server, whose registry nobody uses while no app is named', () => {
    const { roles, config, reasons, problems } = decideRole(server, place);
    expect([roles, problems]).toEqual([['server'], []]);
    expect(config).toMatchObject({
      engine: { url: 'https://vpn.example.com', tls: 'proxy' },
      registry: { allowedApps: [] },
      mesh: {
        trust: { appraisalFile: '/data/appraisal.hujson' },
        inbound: [{ port: 443, backend: 'registry' }],
      },
    });
    expect(reasons).toContain(
      'VPC_ALLOWED_APPS is empty: no app may register (join keys still count)',
    );
    expect(parseConfig(config)).toHaveProperty('config');
  });

  test('takes app ids in any case, and `any` only with its flag', () => {
    const apps = { ...server, VPC_ALLOWED_APPS: `${appId.toUpperCase()}, ${'0'.repeat(40)}` };
    expect(decideRole(apps, place).config).toMatchObject({
      registry: { allowedApps: [appId, '0'.repeat(40)] },
      identities: { map: [{ app: appId, as: ['tag:app'] }, { app: '0'.repeat(40) }] },
    });
    const any = { ...server, VPC_ALLOWED_APPS: 'any' };
    expect(decideRole(any, place).problems).toEqual([
      'VPC_ALLOWED_APPS=any lets every app under the same root register: name app ids, or say --insecure-any-app',
    ]);
    const meant = decideRole(any, { ...place, insecureAnyApp: true });
    expect(meant.problems).toEqual([]);
    expect(meant.config).toMatchObject({ registry: { insecureAnyApp: true } });
    expect(decideRole({ ...server, VPC_ALLOWED_APPS: 'x' }, place).problems).toHaveLength(1);
  });

  test('says what a server lacks, and finds its address by the gateway domain', () => {
    expect(decideRole({ VPC_SERVER_ENABLED: 'true' }, place).problems).toEqual([
      expect.stringContaining('VPC_SERVER_URL is not set'),
    ]);
    expect(decideRole({ VPC_SERVER_ENABLED: 'yes' }, place).problems).toHaveLength(1);
    const domain = { VPC_SERVER_ENABLED: 'true', DSTACK_GATEWAY_DOMAIN: 'apps.example.com' };
    expect(decideRole(domain, place).config).toMatchObject({
      engine: { url: `https://${appId}-8090.apps.example.com` },
    });
  });

  test('is a node that registers through the mesh under its instance id', () => {
    const env = { ...node, VPC_NODE_TYPE: 'mongodb', MESH_BACKEND: '127.0.0.1:27017' };
    const decided = decideRole(env, place);
    expect(decided).toMatchObject({
      roles: ['node'],
      problems: [],
      node: {
        name: 'my-node',
        type: 'mongodb',
        backend: '127.0.0.1:27017',
        via: { kind: 'mesh', appId, port: 443 },
        uuid: 'ab'.repeat(20),
      },
      config: { mesh: { inbound: [{ port: 443, backend: '127.0.0.1:27017' }] } },
    });
    expect(parseConfig(decided.config)).toHaveProperty('config');
    const other = { ...node, VPC_SERVER_APP_ID: '0'.repeat(40) };
    expect(decideRole(other, place).node?.via).toMatchObject({ appId: '0'.repeat(40) });
    expect(decideRole({ VPC_NODE_NAME: 'my-node' }, place).node?.via).toMatchObject({ appId });
  });

  test('is a node that registers with a key where no agent answers', () => {
    const alone = { ...place, self: undefined };
    expect(decideRole(node, alone).problems).toHaveLength(1);
    const env = {
      ...node,
      POSTERN_JOIN_SERVER: 'http://10.0.0.5:8000',
      POSTERN_JOIN_TOKEN_FILE: '/run/secrets/join',
    };
    expect(decideRole(env, alone)).toMatchObject({
      problems: [],
      config: undefined,
      node: { via: { kind: 'direct', server: 'http://10.0.0.5:8000' } },
    });
    const without = { ...node, POSTERN_JOIN_SERVER: 'http://10.0.0.5:8000' };
    expect(decideRole(without, alone).problems).toHaveLength(1);
    expect(decideRole({ ...env, VPC_NODE_NAME: 'my_node' }, alone).problems).toHaveLength(1);
    expect(decideRole({ ...env, VPC_NODE_TYPE: '/' }, alone).problems).toHaveLength(1);
  });

  test('is both where both are named', () => {
    const { roles, config } = decideRole({ ...server, ...node }, place);
    expect(roles).toEqual(['server', 'node']);
    expect(config).toHaveProperty('registry');
  });

  test('leaves a configuration alone that somebody wrote', () => {
    const written = { ...place, configFile: '/etc/postern/postern.hujson' };
    const { config, problems, reasons } = decideRole({ VPC_SERVER_ENABLED: 'true' }, written);
    expect([config, problems]).toEqual([undefined, []]);
    expect(reasons.join('\n')).toContain('/etc/postern/postern.hujson is there');
  });

  test('joins the network of a key as the gateway', () => {
    const env = { TS_AUTHKEY: 'tskey-auth-x', TS_EXTRA_ARGS: '--login-server=http://hs:8080' };
    expect(decideRole(env, place)).toMatchObject({ roles: ['gateway'], joins: true });
  });
});

test('the variables of Tailscale’s image are read as its own entry point reads them', () => {
  const env = {
    TS_AUTHKEY: 'file:/run/secrets/key',
    TS_HOSTNAME: 'ai-proxy',
    TS_ACCEPT_DNS: 'false',
    TS_EXTRA_ARGS: '--advertise-tags=tag:ai-proxy,tag:x --login-server http://hs:8080 --ssh',
  };
  expect(readTailscaleEnv(env)).toEqual({
    authKey: 'file:/run/secrets/key',
    hostname: 'ai-proxy',
    loginServer: 'http://hs:8080',
    tags: ['tag:ai-proxy', 'tag:x'],
    acceptDns: false,
    ignored: ['--ssh'],
  });
});
