import type { JsonObject, JsonValue } from '@postern/core/base';
import type { Imported } from './imported.ts';
import { present, Report } from './imported.ts';
import { Source } from './source.ts';

/** What can be had of a Headscale server, besides its configuration. */
export interface HeadscaleExtras {
  /** The policy file, as it is. */
  readonly policy?: string;
  /** What `headscale nodes list --output json` printed. */
  readonly nodes?: JsonValue;
  /** The text of its `noise_private.key`. */
  readonly noiseKey?: string;
}

/**
 * What a Headscale server's `config.yaml` says, as the embedded engine. With its Noise key and the list of its machines they go on without a
 * new sign-in (docs/howto/network.md, adoption).
 */
export function importHeadscale(document: JsonValue, extras: HeadscaleExtras): Imported {
  const root = new Source(document);
  const report = new Report();
  const engine = present({
    url: root.get('server_url').text(),
    tls: tlsOf(root, report),
    address: root.get('listen_addr').text(),
    ...derpOf(root.get('derp'), report),
    baseDomain: root.get('dns').get('base_domain').text(),
    ipv4: rangeOf(root.get('prefixes').get('v4'), report),
    ipv6: root.get('prefixes').get('v6').text(),
    ephemeralMinutes: minutesOf(root.get('node').get('ephemeral').get('inactivity_timeout')),
    keyDays: daysOf(root.get('node').get('expiry')),
    oidc: oidcOf(root.get('oidc'), report),
    controlKey: controlKeyOf(extras.noiseKey, report),
  });
  readDns(root.get('dns'), report);
  readServer(root, report);
  const inventory = inventoryOf(extras.nodes, report);
  if (inventory !== undefined)
    report.files.push({
      name: 'inventory.json',
      text: `${JSON.stringify(inventory, null, 2)}\n`,
      isSecret: false,
    });
  report.rest(root);
  if (extras.policy === undefined)
    report.todo(
      'policy.path',
      'Give the policy file with --policy; without one nobody reaches anybody.',
    );
  return {
    config: { engine },
    policy: extras.policy ?? { grants: [] },
    files: report.files,
    notes: report.notes,
  };
}

/** Carrier-grade NAT (RFC 6598), which Tailscale clients expect; what lies outside may be somebody's public address. */
const sharedRange = /^100\.(?:6[4-9]|[789]\d|1[01]\d|12[0-7])\./;

function rangeOf(source: Source, report: Report): string | undefined {
  const range = source.text();
  if (range !== undefined && !sharedRange.test(range))
    report.todo(
      source.at,
      `${range} is not within 100.64.0.0/10: these may be addresses of others on the internet, which the network would hide.`,
    );
  return range;
}

function tlsOf(root: Source, report: Report): JsonValue | undefined {
  const certificateFile = root.get('tls_cert_path').text() ?? '';
  const keyFile = root.get('tls_key_path').text() ?? '';
  const hostname = root.get('tls_letsencrypt_hostname').text() ?? '';
  for (const name of [
    'tls_letsencrypt_cache_dir',
    'tls_letsencrypt_challenge_type',
    'tls_letsencrypt_listen',
    'acme_url',
    'acme_email',
  ])
    root.get(name).seen();
  if (certificateFile !== '' && keyFile !== '') return { certificateFile, keyFile };
  if (hostname !== '')
    report.todo(
      'tls_letsencrypt_hostname',
      'Postern does not fetch this certificate: let certbot or a proxy do it, and name the files under engine.tls.',
    );
  const isHttps = root.get('server_url').text()?.startsWith('https://') === true;
  return isHttps ? 'proxy' : undefined;
}

function derpOf(derp: Source, report: Report): JsonObject {
  const server = derp.get('server');
  const isOn = server.get('enabled').flag() ?? false;
  const stun = server.get('stun_listen_addr').text();
  for (const name of [
    'region_id',
    'region_code',
    'region_name',
    'verify_clients',
    'private_key_path',
    'automatically_add_embedded_derp_region',
    'ipv4',
    'ipv6',
  ])
    server.get(name).seen();
  const urls = derp.get('urls').texts();
  if (urls.length > 0)
    report.changed(
      derp.get('urls').at,
      'Machines are told of Postern’s own relay, not of those of others.',
    );
  report.drop(derp.get('paths'), 'Relays of other maps are not taken over.');
  for (const name of ['auto_update_enabled', 'update_frequency']) derp.get(name).seen();
  return isOn && stun !== undefined ? { stunAddress: stun } : {};
}

const unitsMs: Readonly<Record<string, number>> = {
  s: 1e3,
  m: 6e4,
  h: 36e5,
  d: 864e5,
  w: 6048e5,
  y: 31_536e6,
};

/** A duration of Go, with the days, weeks and years that Headscale adds; ms. */
function durationMs(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([a-z]+)/g)];
  if (parts.length === 0 || parts.map(([all]) => all).join('') !== text) return undefined;
  let sum = 0;
  for (const [, amount, unit = ''] of parts) {
    const ms = unitsMs[unit];
    if (ms === undefined) return undefined;
    sum += Number(amount) * ms;
  }
  return sum;
}

function minutesOf(source: Source): number | undefined {
  const ms = durationMs(source.text() ?? '');
  return ms === undefined ? undefined : Math.min(10_080, Math.max(1, Math.ceil(ms / 60_000)));
}

/** 0 there means that keys do not expire, as here. */
function daysOf(source: Source): number | undefined {
  const text = source.text();
  if (text === undefined) return undefined;
  if (text === '0') return 0;
  const ms = durationMs(text);
  return ms === undefined ? undefined : Math.min(3_650, Math.ceil(ms / 864e5));
}

function oidcOf(oidc: Source, report: Report): JsonObject | undefined {
  const issuer = oidc.get('issuer').text();
  const clientId = oidc.get('client_id').text();
  if (issuer === undefined || clientId === undefined) {
    oidc.seen();
    return undefined;
  }
  const secret = oidc.get('client_secret').text() ?? oidc.get('client_secret_path').text();
  oidc.get('client_secret_path').seen();
  if (secret !== undefined)
    report.todo(
      oidc.get('client_secret').at,
      'Put the client secret into OIDC_CLIENT_SECRET, in the environment of Postern.',
    );
  const allowedDomains = oidc.get('allowed_domains').texts();
  for (const name of ['allowed_users', 'allowed_groups'])
    report.drop(
      oidc.get(name),
      'Who may join is decided by domain; what they reach, by the policy.',
    );
  for (const name of [
    'only_start_if_oidc_is_available',
    'scope',
    'extra_params',
    'pkce',
    'expiry',
    'use_expiry_from_token',
    'email_verified_required',
  ])
    oidc.get(name).seen();
  return present({
    issuer,
    clientId,
    clientSecretEnv: secret === undefined ? undefined : 'OIDC_CLIENT_SECRET',
    allowedDomains: allowedDomains.length === 0 ? undefined : [...allowedDomains],
  });
}

/** `privkey:` and 64 hex digits; by it machines know the server. */
function controlKeyOf(text: string | undefined, report: Report): JsonObject | undefined {
  if (text === undefined) {
    report.todo(
      'noise.private_key_path',
      'Without the Noise key (--noise-key FILE) every machine has to sign in again.',
    );
    return undefined;
  }
  const hex = /^privkey:([0-9a-f]{64})\s*$/.exec(text)?.[1];
  if (hex === undefined) {
    report.lost('noise.private_key_path', 'The file does not hold privkey: and 64 hex digits.');
    return undefined;
  }
  return report.secret('control-key', hex, 'noise.private_key_path');
}

/** What `postern network dns set` is told; the configuration does not hold it. */
function readDns(dns: Source, report: Report): void {
  dns.get('magic_dns').seen();
  const nameservers = dns.get('nameservers').get('global').texts();
  const split = dns
    .get('nameservers')
    .get('split')
    .entries()
    .map(([domain, servers]) => `${domain}=${servers.texts().join('+')}`);
  const search = dns.get('search_domains').texts();
  const records = dns
    .get('extra_records')
    .items()
    .flatMap((record) => {
      record.get('type').seen();
      const value = record.get('value').text();
      const [label] = (record.get('name').text() ?? '').split('.');
      return label === undefined || label === '' || value === undefined
        ? []
        : [`${label}=${value}`];
    });
  const flags = [
    ...(nameservers.length === 0 ? [] : [`--nameservers ${nameservers.join(',')}`]),
    ...(dns.get('override_local_dns').flag() === true ? ['--override on'] : []),
    ...(split.length === 0 ? [] : [`--split ${split.join(',')}`]),
    ...(search.length === 0 ? [] : [`--search ${search.join(',')}`]),
    ...(records.length === 0 ? [] : [`--records ${records.join(',')}`]),
  ];
  dns.get('extra_records_path').seen();
  if (flags.length > 0)
    report.todo(
      dns.at,
      `Names are settings of the running network: postern network dns set ${flags.join(' ')}`,
    );
}

function readServer(root: Source, report: Report): void {
  const database = root.get('database');
  report.drop(
    database,
    'Postern keeps its state in its own folder, or in PostgreSQL by `store.postgres`; accounts and keys of the old database stay there.',
  );
  for (const name of [
    'metrics_listen_addr',
    'grpc_listen_addr',
    'grpc_allow_insecure',
    'unix_socket',
    'unix_socket_permission',
    'disable_check_updates',
    'log',
    'logtail',
    'randomize_client_port',
    'noise',
    'taildrop',
    'auto_update',
    'trusted_proxies',
  ])
    root.get(name).seen();
  root.get('prefixes').get('allocation').seen();
  root.get('node').get('routes').seen();
  root.get('policy').seen();
  root.get('server_url').seen();
}

/** Machines as `postern network adopt` reads them. */
function inventoryOf(nodes: JsonValue | undefined, report: Report): JsonValue | undefined {
  if (nodes === undefined) {
    report.todo(
      'nodes',
      'List the machines (headscale nodes list -o json > nodes.json) and give them with --nodes.',
    );
    return undefined;
  }
  const list = new Source(nodes, 'nodes').items().flatMap((node): JsonObject[] => {
    const nodeKey = node.get('node_key').text();
    const machineKey = node.get('machine_key').text();
    const name = node.get('given_name').text() ?? node.get('name').text();
    if (nodeKey === undefined || machineKey === undefined || name === undefined) {
      report.lost(node.at, 'A machine without a key or a name.');
      return [];
    }
    const tags = [
      ...new Set([
        ...node.get('forced_tags').texts(),
        ...node.get('valid_tags').texts(),
        ...node.get('tags').texts(),
      ]),
    ];
    const user = userOf(node.get('user'));
    return [
      present({
        id: node.get('id').text(),
        name,
        named: node.get('given_name').text() !== node.get('name').text(),
        user: tags.length > 0 ? undefined : user,
        tags,
        addresses: [...node.get('ip_addresses').texts()],
        approved: true,
        ephemeral: node.get('pre_auth_key').get('ephemeral').flag() ?? false,
        key_expires_at: timeOf(node.get('expiry')),
        node_key: nodeKey,
        machine_key: machineKey,
        created_at: timeOf(node.get('created_at')),
        routes: {
          advertised: [...node.get('available_routes').texts()],
          approved: [...node.get('approved_routes').texts()],
        },
      }),
    ];
  });
  report.todo(
    'nodes',
    `postern network adopt inventory.json takes over ${list.length} machines, once Postern runs.`,
  );
  return { nodes: list };
}

/** Policies name people by login: the e-mail where there is one, else the name with an @ behind it. */
function userOf(user: Source): string | undefined {
  const email = user.get('email').text();
  if (email !== undefined && email !== '') return email;
  const name = user.get('name').text();
  return name === undefined || name.includes('@') ? name : `${name}@`;
}

/** Times come as texts, or as protobuf prints them; the year 1 means none. */
function timeOf(source: Source): string | undefined {
  const seconds = source.get('seconds').number();
  const text = source.text();
  source.seen();
  const ms = seconds === undefined ? Date.parse(text ?? '') : seconds * 1_000;
  return Number.isFinite(ms) && ms > 0 ? new Date(ms).toISOString() : undefined;
}
