import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { SecretSource } from '@postern/core/contract';
import {
  cgnatRange,
  isLoopback,
  isPrivate,
  isTailscaleAddr,
  parseAddr,
  parsePrefix,
  prefixCovers,
} from '@postern/core/base/netip';

/** What an operator asks of the embedded engine. */
export interface NetworkPlan {
  /** Where clients find us, without a slash at the end. */
  readonly url: URL;
  readonly baseDomain: string;
  readonly ipv4Pool: string;
  readonly ipv6Pool: string;
  readonly keyLifeMs: number | undefined;
  readonly needsApproval: boolean;
  readonly ephemeralAwayMsMax: number;
  /** PEM files for https; without them a proxy must be named that speaks TLS for us. */
  readonly tls: { readonly certificateFile: string; readonly keyFile: string } | undefined;
  readonly behindProxy: boolean;
  /** `host:port`; undefined: 8090, on loopback where the URL is there, else everywhere. */
  readonly address: string | undefined;
  readonly stunAddress: string | undefined;
  readonly derpAddress: string | undefined;
  readonly oidc: OidcPlan | undefined;
}

export interface OidcPlan {
  readonly issuer: string;
  readonly clientId: string;
  /** The environment variable that holds the secret; undefined: a public client. */
  readonly clientSecretEnv?: string | undefined;
  readonly allowedDomains: readonly string[];
}

/** The `engine` object of the configuration, as far as it is for the embedded engine. */
export interface EngineConfig {
  readonly kind?: 'embedded' | 'headscale' | 'tailscale' | undefined;
  readonly url?: string | undefined;
  readonly baseDomain?: string | undefined;
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
  readonly keyDays?: number | undefined;
  readonly deviceApproval?: boolean | undefined;
  readonly ephemeralMinutes?: number | undefined;
  readonly tls?:
    | { readonly certificateFile: string; readonly keyFile: string }
    | 'proxy'
    | undefined;
  readonly controlKey?: SecretSource | undefined;
  readonly certificateHook?: readonly string[] | undefined;
  readonly address?: string | undefined;
  readonly stunAddress?: string | undefined;
  readonly derpAddress?: string | undefined;
  readonly oidc?: OidcPlan | undefined;
  readonly join?: 'existing' | 'start' | 'off' | undefined;
  readonly nodeName?: string | undefined;
  readonly nodePort?: number | undefined;
}

const dayMs = 86_400_000;
const defaults = {
  baseDomain: 'mesh.internal',
  ipv4: '100.64.0.0/10',
  ipv6: 'fd7a:115c:a1e0::/48',
  keyDays: 180,
  ephemeralMinutes: 30,
} as const;

/** A plan, and what is lawful but unwise about it. */
export interface Planned {
  readonly plan: NetworkPlan;
  readonly warnings: readonly string[];
}

/** Reads `--url` or `POSTERN_URL` over the configuration. Undefined: the engine is off. */
export function planNetwork(
  engine: EngineConfig,
  flags: {
    readonly url?: string | undefined;
    readonly env: Readonly<Record<string, string | undefined>>;
  },
): Result<Planned | undefined, string> {
  const text = flags.url ?? flags.env['POSTERN_URL'] ?? engine.url;
  if (text === undefined || text === '') return ok(undefined);
  const url = readUrl(text);
  if (!url.ok) return url;
  const tls = typeof engine.tls === 'object' ? engine.tls : tlsOf(flags.env);
  const behindProxy = engine.tls === 'proxy' || flags.env['POSTERN_URL_TLS'] === 'proxy';
  const problem = schemeProblem(url.value, tls !== undefined || behindProxy);
  if (problem !== undefined) return err(problem);
  const ipv4Pool = engine.ipv4 ?? defaults.ipv4;
  const ipv6Pool = engine.ipv6 ?? defaults.ipv6;
  const ranges = rangeWarnings(ipv4Pool, ipv6Pool);
  if (!ranges.ok) return ranges;
  const keyDays = engine.keyDays ?? defaults.keyDays;
  const warnings = [...ranges.value];
  if (url.value.protocol === 'http:') {
    warnings.push(
      `${url.value.href} is plain http: whoever is between a machine and this server can take its place when the machine first joins. Use https outside a trusted network.`,
    );
  }
  return ok({
    warnings,
    plan: {
      url: url.value,
      baseDomain: (engine.baseDomain ?? defaults.baseDomain).toLowerCase(),
      ipv4Pool,
      ipv6Pool,
      keyLifeMs: keyDays === 0 ? undefined : keyDays * dayMs,
      needsApproval: engine.deviceApproval ?? false,
      ephemeralAwayMsMax: (engine.ephemeralMinutes ?? defaults.ephemeralMinutes) * 60_000,
      tls,
      behindProxy,
      address: flags.env['POSTERN_COORDINATION_ADDR'] ?? engine.address,
      stunAddress: flags.env['POSTERN_STUN_ADDR'] ?? engine.stunAddress,
      derpAddress: flags.env['POSTERN_DERP_ADDR'] ?? engine.derpAddress,
      oidc: engine.oidc,
    },
  });
}

function readUrl(text: string): Result<URL, string> {
  const wrong = `--url ${text}: write http(s)://host[:port], with nothing behind it.`;
  if (!URL.canParse(text)) return err(wrong);
  const url = new URL(text);
  const isPlain =
    url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
  return isPlain && (url.protocol === 'https:' || url.protocol === 'http:') ? ok(url) : err(wrong);
}

function tlsOf(env: Readonly<Record<string, string | undefined>>): NetworkPlan['tls'] {
  const certificateFile = env['POSTERN_TLS_CERT'];
  const keyFile = env['POSTERN_TLS_KEY'];
  return certificateFile === undefined || keyFile === undefined
    ? undefined
    : { certificateFile, keyFile };
}

/** Plain http is for hosts that nobody on the way to can take over: loopback, private ranges, names without a dot. */
function schemeProblem(url: URL, hasTls: boolean): string | undefined {
  if (url.protocol === 'https:') {
    return hasTls
      ? undefined
      : `${url.origin}: https needs a certificate: engine.tls with certificateFile and keyFile (or POSTERN_TLS_CERT and POSTERN_TLS_KEY), or "tls": "proxy" behind a proxy that passes Upgrade on POST.`;
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const addr = parseAddr(host);
  const isNear = addr.ok
    ? isLoopback(addr.value) || isPrivate(addr.value) || isTailscaleAddr(addr.value)
    : !host.includes('.') || /\.(?:localhost|local|internal|lan|home\.arpa)$/.test(host);
  return isNear
    ? undefined
    : `${url.origin}: plain http is for loopback and private hosts only. Use https.`;
}

function rangeWarnings(ipv4: string, ipv6: string): Result<readonly string[], string> {
  const warnings: string[] = [];
  for (const [name, text, usual] of [
    ['ipv4', ipv4, cgnatRange],
    ['ipv6', ipv6, undefined],
  ] as const) {
    const parsed = parsePrefix(text);
    if (!parsed.ok || text.includes(':') !== (name === 'ipv6')) {
      return err(`engine.${name}: ${text} is no ${name} prefix.`);
    }
    const inside =
      usual === undefined
        ? text.toLowerCase().startsWith('fd7a:115c:a1e0:')
        : prefixCovers(usual, parsed.value);
    if (!inside) {
      warnings.push(
        `${text} is outside of ${name === 'ipv4' ? '100.64.0.0/10' : 'fd7a:115c:a1e0::/48'}: clients treat other ranges as foreign in places (DNS, routes, MagicDNS reverse names).`,
      );
    }
  }
  return ok(warnings);
}
