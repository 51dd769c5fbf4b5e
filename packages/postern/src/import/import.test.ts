import { readFileSync } from 'node:fs';
import type { JsonValue } from '@postern/core/base';
import { parseConfig } from '@postern/core/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Imported, Note } from './index.ts';
import { importAperture, importHeadscale, importLiteLlm } from './index.ts';

/** What a check of ours says of the configuration: nothing where it is right. */
function issuesOf({ config }: Imported): unknown {
  const parsed = parseConfig(JSON.parse(JSON.stringify(config)));
  return 'issues' in parsed ? parsed.issues : [];
}

function notesOf(imported: Imported, kind: Note['kind']): readonly string[] {
  return imported.notes.filter((note) => note.kind === kind).map(({ at }) => at);
}

const litellm = parse(`
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 100}
  - model_name: gpt-4o
    litellm_params: {model: azure/eu, api_base: "https://my.openai.azure.com/", api_key: azure-canary, weight: 2}
  - model_name: Claude_3
    litellm_params:
      model: claude-3-5-sonnet
      input_cost_per_token: 0.000003
      output_cost_per_token: 1.5e-05
      cache_read_input_token_cost: 3.0e-07
  - model_name: local
    litellm_params: {model: ollama/llama3.2, api_base: "http://10.0.0.3:11434", stream_timeout: 30}
  - model_name: bed
    litellm_params: {model: bedrock/converse/anthropic.claude-3-haiku-v1:0, aws_region_name: us-east-1, aws_access_key_id: AKIA}
  - model_name: "anthropic/*"
    litellm_params: {model: "anthropic/*"}
  - model_name: gone
    litellm_params: {model: vertex_ai/gemini-pro}
litellm_settings:
  fallbacks: [{"gpt-4o": ["Claude_3"]}]
  num_retries: 9
  max_budget: 100.5
  budget_duration: 30d
  callbacks: [langfuse]
  strange: {deep: [1]}
router_settings:
  routing_strategy: latency-based-routing
  model_group_alias: {best: gpt-4o, nowhere: nobody}
general_settings:
  master_key: master-canary
  database_url: postgres://user:database-canary@db/litellm
environment_variables:
  REDIS_PASSWORD: redis-canary
`) as JsonValue;

describe('a LiteLLM proxy', () => {
  const imported = importLiteLlm(litellm);

  test('becomes a configuration that is right', () => {
    expect(issuesOf(imported)).toEqual([]);
    expect(imported.config).toEqual({
      providers: {
        openai: {
          kind: 'openai',
          baseUrl: 'https://api.openai.com/v1',
          key: { env: 'OPENAI_API_KEY' },
          retry: { times: 5 },
          models: ['gpt-4o'],
        },
        azure: {
          kind: 'openai',
          baseUrl: 'https://my.openai.azure.com/openai/v1',
          key: { file: 'secrets/azure' },
          retry: { times: 5 },
          models: ['eu'],
        },
        anthropic: {
          kind: 'anthropic',
          key: { env: 'ANTHROPIC_API_KEY' },
          retry: { times: 5 },
          models: ['*'],
        },
        ollama: {
          kind: 'openai',
          baseUrl: 'http://10.0.0.3:11434/v1',
          retry: { times: 5 },
          timeouts: { firstByteMs: 30_000 },
          models: ['llama3.2'],
        },
        bedrock: {
          kind: 'bedrock',
          region: 'us-east-1',
          retry: { times: 5 },
          models: ['anthropic.claude-3-haiku-v1:0'],
        },
      },
      aliases: {
        'gpt-4o': [{ 'openai/gpt-4o': 1, 'azure/eu': 2 }, 'anthropic/claude-3-5-sonnet'],
        'claude-3': ['anthropic/claude-3-5-sonnet'],
        local: ['ollama/llama3.2'],
        bed: ['bedrock/anthropic.claude-3-haiku-v1:0'],
        best: [{ 'openai/gpt-4o': 1, 'azure/eu': 2 }, 'anthropic/claude-3-5-sonnet'],
      },
      identities: { map: [{ key: '*', as: ['tag:key'] }] },
      prices: {
        'anthropic/claude-3-5-sonnet': { input: '3', output: '15', cacheRead: '0.3' },
      },
      budgets: { proxy: { usd: '100.5', every: 'month', per: 'all', match: ['*'] } },
    });
  });

  test('says of everything else what became of it', () => {
    expect(notesOf(imported, 'lost')).toEqual([
      'model_list[0].litellm_params.rpm',
      'model_list[4].litellm_params.aws_access_key_id',
      'model_list[6].litellm_params.model',
      'router_settings.model_group_alias.nowhere',
      'litellm_settings.callbacks',
      'litellm_settings.strange',
    ]);
    expect(notesOf(imported, 'changed')).toEqual([
      'router_settings.routing_strategy',
      'model_list[1].litellm_params.model',
      'model_list[1].litellm_params.api_key',
      'model_name Claude_3',
    ]);
    expect(notesOf(imported, 'todo')).toEqual([
      'general_settings.master_key',
      'general_settings.database_url',
      'environment_variables.REDIS_PASSWORD',
    ]);
  });

  test('leaves its secrets in files of their own, or behind', () => {
    expect(imported.files).toEqual([
      { name: 'secrets/azure', text: 'azure-canary\n', isSecret: true },
    ]);
    const rest = JSON.stringify([imported.config, imported.policy, imported.notes]);
    expect(rest).not.toMatch(/canary|AKIA/);
  });
});

const aperture: JsonValue = {
  providers: {
    anthropic: {
      baseurl: 'https://api.anthropic.com',
      apikey: 'anthropic-canary',
      models: ['claude-sonnet-5'],
      compatibility: { openai_chat: false, anthropic_messages: true },
    },
    Private: {
      baseurl: 'http://gpu.example.ts.net:8000/',
      models: ['llama'],
      add_headers: ['x-team: research', 'authorization: Bearer header-canary'],
    },
    bedrock: {
      baseurl: 'https://bedrock-runtime.eu-west-1.amazonaws.com',
      apikey: 'bedrock-canary',
      compatibility: { bedrock_converse: true },
      models: ['anthropic.claude-v3'],
    },
    gemini: {
      baseurl: 'https://generativelanguage.googleapis.com',
      compatibility: { openai_chat: false, gemini_generate_content: true },
    },
    old: { baseurl: 'https://old.example.com', disabled: true },
  },
  model_aliases: {
    strategy: 'first',
    models: {
      smart: { dst: ['anthropic/claude-sonnet-5', 'Private/llama'] },
      gone: { dst: ['x/y'] },
    },
  },
  quotas: {
    'daily:<user>': { capacity: '$10.00', rate: '$5.00/day', on_exceed: 'reject' },
    'team:all': { capacity: '$100.00', rate: '$100.00/month', on_exceed: 'overdraft' },
  },
  grants: [
    {
      src: ['group:research', 'tag:api,tag:prod'],
      app: {
        'tailscale.com/cap/aperture': [
          { role: 'user' },
          { models: 'anthropic/**' },
          { models: 'private/*' },
          { quotas: [{ bucket: 'daily:<user>' }] },
          { send_hooks: [{ name: 'guard' }] },
        ],
      },
    },
    { src: ['ann@example.com'], app: { 'tailscale.com/cap/aperture': [{ role: 'admin' }] } },
    { src: ['*'], app: { 'mycompany.com/cap/policy': [{ tier: 'x' }] } },
  ],
  hooks: { guard: { url: 'http://guard' } },
  database: { retention: { duration: '720h' } },
};

describe('an Aperture instance', () => {
  const imported = importAperture(aperture);

  test('becomes a configuration that is right', () => {
    expect(issuesOf(imported)).toEqual([]);
    expect(imported.config).toEqual({
      providers: {
        anthropic: {
          kind: 'anthropic',
          baseUrl: 'https://api.anthropic.com',
          key: { file: 'secrets/anthropic' },
          models: ['claude-sonnet-5'],
        },
        private: {
          kind: 'openai',
          baseUrl: 'http://gpu.example.ts.net:8000/v1',
          headers: { 'x-team': 'research' },
          models: ['llama'],
        },
        bedrock: { kind: 'bedrock', region: 'eu-west-1', models: ['anthropic.claude-v3'] },
      },
      aliases: { smart: ['anthropic/claude-sonnet-5', 'private/llama'] },
      budgets: {
        daily: { usd: '5', every: 'day', refill: 'steady', per: 'user' },
        'team-all': { usd: '100', every: 'month', refill: 'steady', per: 'all' },
      },
    });
  });

  test('keeps who may what: objects that added up are one', () => {
    expect(imported.policy).toEqual({
      tagOwners: { 'tag:gateway': [], 'tag:api': [], 'tag:prod': [] },
      grants: [
        {
          src: ['group:research', 'tag:api', 'tag:prod'],
          dst: ['tag:gateway'],
          app: {
            'postern.dev/cap/ai': [{ models: ['anthropic/**', 'private/*'], budgets: ['daily'] }],
          },
        },
        {
          src: ['ann@example.com'],
          dst: ['tag:gateway'],
          app: { 'postern.dev/cap/admin': [{ tools: ['*'] }] },
        },
      ],
    });
  });

  test('says of everything else what became of it, and no secret', () => {
    expect(notesOf(imported, 'lost')).toEqual([
      'providers.Private.add_headers',
      'providers.bedrock.apikey',
      'providers.gemini',
      'providers.old',
      'model_aliases.models.gone',
      'grants[0].app.tailscale.com/cap/aperture[4].send_hooks',
      'grants[2].app.mycompany.com/cap/policy',
      'grants[2]',
      'hooks',
      'database.retention',
    ]);
    expect(JSON.stringify([imported.config, imported.policy, imported.notes])).not.toMatch(
      /canary/,
    );
  });
});

describe('a Headscale server', () => {
  const config = parse(`
server_url: https://vpn.example.com:443
listen_addr: 0.0.0.0:8080
noise: {private_key_path: /var/lib/headscale/noise_private.key}
prefixes: {v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48", allocation: sequential}
derp:
  server: {enabled: true, stun_listen_addr: "0.0.0.0:3478", region_id: 999}
  urls: [https://controlplane.tailscale.com/derpmap/default]
node: {expiry: 90d, ephemeral: {inactivity_timeout: 45m}}
database: {type: sqlite, sqlite: {path: /var/lib/headscale/db.sqlite}}
tls_cert_path: /etc/headscale/tls.crt
tls_key_path: /etc/headscale/tls.key
dns: {magic_dns: true, base_domain: mesh.example.com, nameservers: {global: [1.1.1.1]}}
oidc: {issuer: "https://login.example.com", client_id: headscale, client_secret: oidc-canary, allowed_domains: [example.com]}
`) as JsonValue;
  const noise = `privkey:${'ab'.repeat(32)}\n`;
  const nodes: JsonValue = [
    {
      id: 1,
      machine_key: `mkey:${'01'.repeat(32)}`,
      node_key: `nodekey:${'02'.repeat(32)}`,
      ip_addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
      name: 'laptop',
      given_name: 'laptop',
      user: { id: 1, name: 'ann', email: 'ann@example.com' },
      created_at: { seconds: 1_767_225_600 },
      expiry: { seconds: -62_135_596_800 },
      approved_routes: [],
    },
    {
      id: 2,
      machine_key: `mkey:${'03'.repeat(32)}`,
      node_key: `nodekey:${'04'.repeat(32)}`,
      ip_addresses: ['100.64.0.2'],
      name: 'gpu-1',
      given_name: 'gpu',
      user: { name: 'bob' },
      tags: ['tag:gpu'],
      available_routes: ['10.0.0.0/24'],
      approved_routes: ['10.0.0.0/24'],
    },
    { id: 3, name: 'without keys' },
  ];
  const imported = importHeadscale(config, { policy: '{"acls": []}', nodes, noiseKey: noise });

  test('becomes the embedded engine', () => {
    expect(issuesOf(imported)).toEqual([]);
    expect(imported.config).toEqual({
      engine: {
        url: 'https://vpn.example.com:443',
        tls: { certificateFile: '/etc/headscale/tls.crt', keyFile: '/etc/headscale/tls.key' },
        address: '0.0.0.0:8080',
        stunAddress: '0.0.0.0:3478',
        baseDomain: 'mesh.example.com',
        ipv4: '100.64.0.0/10',
        ipv6: 'fd7a:115c:a1e0::/48',
        ephemeralMinutes: 45,
        keyDays: 90,
        oidc: {
          issuer: 'https://login.example.com',
          clientId: 'headscale',
          clientSecretEnv: 'OIDC_CLIENT_SECRET',
          allowedDomains: ['example.com'],
        },
        controlKey: { file: 'secrets/control-key' },
      },
    });
    expect(imported.policy).toBe('{"acls": []}');
    expect(imported.notes.find(({ at }) => at === 'dns')?.message).toBe(
      'Names are settings of the running network: postern network dns set --nameservers 1.1.1.1',
    );
    expect(JSON.stringify([imported.config, imported.notes])).not.toMatch(/canary|abab/);
  });

  test('gives its machines as an inventory to adopt', () => {
    const file = imported.files.find(({ name }) => name === 'inventory.json');
    expect(JSON.parse(file?.text ?? '{}')).toEqual({
      nodes: [
        {
          id: '1',
          name: 'laptop',
          named: false,
          user: 'ann@example.com',
          tags: [],
          addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
          approved: true,
          ephemeral: false,
          node_key: `nodekey:${'02'.repeat(32)}`,
          machine_key: `mkey:${'01'.repeat(32)}`,
          created_at: '2026-01-01T00:00:00.000Z',
          routes: { advertised: [], approved: [] },
        },
        {
          id: '2',
          name: 'gpu',
          named: true,
          tags: ['tag:gpu'],
          addresses: ['100.64.0.2'],
          approved: true,
          ephemeral: false,
          node_key: `nodekey:${'04'.repeat(32)}`,
          machine_key: `mkey:${'03'.repeat(32)}`,
          routes: { advertised: ['10.0.0.0/24'], approved: ['10.0.0.0/24'] },
        },
      ],
    });
    expect(notesOf(imported, 'lost')).toContain('nodes[2]');
  });
});

test('whatever a file holds, reading it ends with a result', () => {
  const words = fc.constantFrom(
    ...new Set(readFileSync(import.meta.filename, 'utf8').match(/[a-z_]{4,}/g) ?? []),
  );
  const value = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, true, 7, -1, '', '*', 'a/b', 'http://x', '$5/day', 'os.environ/A'),
      words,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(words, tie('value'), { maxKeys: 8 }),
    ),
  })).value;
  fc.assert(
    fc.property(value, (document) => {
      for (const imported of [
        importLiteLlm(document),
        importAperture(document),
        importHeadscale(document, { nodes: document }),
      ])
        expect(Array.isArray(imported.notes)).toBe(true);
    }),
    { numRuns: 500 },
  );
});
