import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { cgnatRange, parsePrefix, prefixCovers } from '@postern/core/base/netip';

export interface HeadscaleConfigOptions {
  /** Where machines and Postern find it. */
  readonly url: string;
  /** `host:port`; default: the host of a plain http URL that is an address, else everywhere, at the URL's port. */
  readonly listen?: string | undefined;
  readonly baseDomain?: string | undefined;
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
  /** Where its key, its database and its socket are. */
  readonly folder?: string | undefined;
  /** `embedded`: its own, which needs https. `public`: Tailscale's. `file`: those of a derp.yaml in its folder. */
  readonly relay?: 'embedded' | 'public' | 'file' | undefined;
  readonly nameservers?: readonly string[] | undefined;
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined;
  /** Ports that nothing but itself uses; 0 where there are several on one machine is not possible. */
  readonly metricsPort?: number | undefined;
  readonly grpcPort?: number | undefined;
}

export interface HeadscaleConfig {
  readonly text: string;
  readonly warnings: readonly string[];
}

const defaults = {
  baseDomain: 'mesh.internal',
  ipv4: '100.64.0.0/10',
  ipv6: 'fd7a:115c:a1e0::/48',
  folder: '/var/lib/headscale',
} as const;

/** What a YAML scalar of ours may hold without quoting being a question. */
const plainPath = /^\/[A-Za-z0-9._@/+-]+$/u;
const domain = /^(?=.{1,200}$)[a-z0-9-]+(?:\.[a-z0-9-]+)+$/u;
const ulaRange = 'fd7a:115c:a1e0:';

/**
 * A configuration of Headscale 0.26 to 0.29 that Postern can work with: the policy in its database (a file could not
 * be written through the API), no outside service that was not asked for, machines inside the ranges that clients
 * take for theirs.
 */
export function headscaleConfig(options: HeadscaleConfigOptions): Result<HeadscaleConfig, string> {
  const { baseDomain = defaults.baseDomain, folder = defaults.folder } = options;
  const { ipv4 = defaults.ipv4, ipv6 = defaults.ipv6 } = options;
  if (!URL.canParse(options.url)) return err(`--url ${options.url}: write http(s)://host[:port].`);
  const url = new URL(options.url);
  if (!/^https?:$/u.test(url.protocol) || url.pathname !== '/' || url.search !== '') {
    return err(`--url ${options.url}: write http(s)://host[:port], with nothing behind it.`);
  }
  if (!domain.test(baseDomain)) return err(`--base-domain ${baseDomain} is no domain.`);
  const { hostname } = url;
  if (hostname === baseDomain || hostname.endsWith(`.${baseDomain}`)) {
    return err(
      `--base-domain ${baseDomain}: Headscale refuses a server (${hostname}) inside the names of its machines. Choose another.`,
    );
  }
  if (![folder, ...Object.values(options.tls ?? {})].every((each) => plainPath.test(each))) {
    return err('Paths are absolute, of letters, digits and . _ @ / + -');
  }
  const ranges = rangeProblems(ipv4, ipv6);
  if (!ranges.ok) return ranges;
  const isHttps = url.protocol === 'https:';
  const { relay = isHttps ? 'embedded' : 'public' } = options;
  if (relay === 'embedded' && !isHttps) {
    return err('--relay embedded needs an https URL: machines reach relays over TLS only.');
  }
  const warnings = [...ranges.value];
  if (relay === 'public') {
    warnings.push(
      'Machines that do not reach each other directly go through the public relays of Tailscale (what they see is encrypted). --relay file names your own.',
    );
  }
  if (!isHttps) warnings.push(`${url.origin} is plain http: use https outside a trusted network.`);
  const listen = options.listen ?? listenOf(url);
  const text = render({ ...options, url, listen, baseDomain, folder, ipv4, ipv6, relay });
  if (relay === 'file') {
    warnings.push(
      `It does not start without ${folder}/derp.yaml: write your relays there (derp-example.yaml of Headscale).`,
    );
  }
  return ok({ text, warnings });
}

function listenOf(url: URL): string {
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const isAddress = /^[\d.]+$|^\[/u.test(url.hostname);
  return `${isAddress ? url.hostname : '0.0.0.0'}:${port}`;
}

function rangeProblems(ipv4: string, ipv6: string): Result<readonly string[], string> {
  const v4 = parsePrefix(ipv4);
  const v6 = parsePrefix(ipv6);
  if (!v4.ok || ipv4.includes(':')) return err(`--ipv4 ${ipv4} is no IPv4 prefix.`);
  if (!v6.ok || !ipv6.includes(':')) return err(`--ipv6 ${ipv6} is no IPv6 prefix.`);
  const warnings: string[] = [];
  if (!prefixCovers(cgnatRange, v4.value)) {
    warnings.push(
      `${ipv4} is outside of 100.64.0.0/10: clients treat other addresses as foreign (DNS, routes), and they may be somebody's public ones.`,
    );
  }
  if (!ipv6.toLowerCase().startsWith(ulaRange)) {
    warnings.push(`${ipv6} is outside of fd7a:115c:a1e0::/48, which clients take for theirs.`);
  }
  return ok(warnings);
}

type Settled = HeadscaleConfigOptions & {
  readonly url: URL | string;
  readonly listen: string;
  readonly folder: string;
  readonly baseDomain: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly relay: 'embedded' | 'public' | 'file';
};

function render(settled: Omit<Settled, 'url'> & { readonly url: URL }): string {
  const { url, listen, folder, baseDomain, ipv4, ipv6, relay, nameservers = [], tls } = settled;
  const { metricsPort = 9_090, grpcPort = 50_443 } = settled;
  const quoted = (text: string): string => JSON.stringify(text);
  return `# Written by \`postern network config headscale\`, for Headscale 0.26 to 0.29.
server_url: ${quoted(url.origin)}
listen_addr: ${quoted(listen)}
metrics_listen_addr: "127.0.0.1:${metricsPort}"
grpc_listen_addr: "127.0.0.1:${grpcPort}"
grpc_allow_insecure: false
${tls === undefined ? '' : `tls_cert_path: ${quoted(tls.certificate)}\ntls_key_path: ${quoted(tls.key)}\n`}noise:
  private_key_path: ${quoted(`${folder}/noise_private.key`)}
prefixes:
  v4: ${quoted(ipv4)}
  v6: ${quoted(ipv6)}
  allocation: sequential
derp:
${derpOf(relay, folder)}  auto_update_enabled: ${relay === 'public'}
  update_frequency: 24h
database:
  type: sqlite
  sqlite:
    path: ${quoted(`${folder}/db.sqlite`)}
    write_ahead_log: true
dns:
  magic_dns: true
  base_domain: ${quoted(baseDomain)}
  override_local_dns: ${nameservers.length > 0}
  nameservers:
    global: [${nameservers.map(quoted).join(', ')}]
# In the database: Postern writes the policy through the API, which a file would refuse.
policy:
  mode: database
unix_socket: ${quoted(`${folder}/headscale.sock`)}
unix_socket_permission: "0770"
disable_check_updates: true
logtail:
  enabled: false
log:
  level: info
`;
}

function derpOf(relay: Settled['relay'], folder: string): string {
  switch (relay) {
    case 'public':
      return `  urls: ["https://controlplane.tailscale.com/derpmap/default"]
  paths: []
  server:
    enabled: false
`;
    case 'file':
      return `  urls: []
  paths: [${JSON.stringify(`${folder}/derp.yaml`)}]
  server:
    enabled: false
`;
    case 'embedded':
      return `  urls: []
  paths: []
  server:
    enabled: true
    region_id: 999
    region_code: headscale
    region_name: Headscale
    verify_clients: true
    stun_listen_addr: "0.0.0.0:3478"
    private_key_path: ${JSON.stringify(`${folder}/derp_server_private.key`)}
    automatically_add_embedded_derp_region: true
`;
  }
}
