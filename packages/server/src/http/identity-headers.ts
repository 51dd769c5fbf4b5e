/**
 * Headers by which some proxy, somewhere, tells its backend who is calling. No listener of ours lets a caller
 * write one: they are removed by normal form before a handler sees the request. The list is wider than what
 * Postern itself reads, because what is behind a mesh proxy may read any of them.
 */
const identityNames: ReadonlySet<string> = new Set([
  'remote-user',
  'remote-email',
  'remote-groups',
  'remote-name',
  'x-remote-user',
  'x-remote-email',
  'x-remote-group',
  'x-remote-groups',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-forwarded-groups',
  'x-forwarded-preferred-username',
  'x-forwarded-access-token',
  'x-forwarded-client-cert',
  'x-client-verify',
  'x-client-cert',
  'x-client-dn',
  'x-real-user',
  'x-rewrite-url',
  'x-principal',
  'x-tenant',
  'x-tenant-id',
  'x-spiffe-id',
  'x-envoy-peer-metadata',
  'x-apigateway-api-userinfo',
  'x-endpoint-api-userinfo',
  'client-cert',
  'client-cert-chain',
  'proxy-user',
]);

const identityPrefixes: readonly string[] = [
  'tailscale-',
  'x-tailscale-',
  'x-dstack-',
  'x-postern-',
  'x-webauth-',
  'x-auth-request-',
  'x-authenticated-',
  'x-authentik-',
  'x-authelia-',
  'x-user',
  'x-client-verify-',
  'x-client-cert-',
  'x-ssl-client-',
  'ssl-client-',
  'x-amzn-oidc-',
  'x-amzn-mtls-',
  'x-goog-iap-',
  'x-goog-authenticated-user-',
  'x-ms-client-principal',
  'x-ms-token-',
  'cf-access-',
  'x-original-',
  'x-pomerium-',
  'x-teleport-',
  'x-consumer-',
  'x-credential-',
  'x-vouch-',
  'x-oidc-',
  'x-jwt-',
];

/** Headers in which proxies record where a request came from; they count only from trusted proxies. */
const forwardingNames: ReadonlySet<string> = new Set([
  'forwarded',
  'via',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-envoy-external-address',
  'true-client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'fastly-client-ip',
]);

const hopByHopNames: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Naming one of these in `Connection` would change what the request means to us. */
const endToEndNames: ReadonlySet<string> = new Set([
  'anthropic-version',
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'host',
  'origin',
  'sec-fetch-site',
  'transfer-encoding',
  'x-api-key',
]);

/** Lower case, `_` as `-`, no white space around it: the form in which CGI-like backends compare names. */
export function normalHeaderName(name: string): string {
  return name.trim().toLowerCase().replaceAll('_', '-');
}

/** Verdicts on the names that clients really send. Bounded, because names are the caller's. */
const knownVerdicts = new Map<string, boolean>();
const knownVerdictsMax = 512;

export function isIdentityHeader(normalName: string): boolean {
  const known = knownVerdicts.get(normalName);
  if (known !== undefined) return known;
  const verdict =
    identityNames.has(normalName) ||
    identityPrefixes.some((prefix) => normalName.startsWith(prefix));
  if (knownVerdicts.size < knownVerdictsMax) knownVerdicts.set(normalName, verdict);
  return verdict;
}

export function isForwardingHeader(normalName: string): boolean {
  return forwardingNames.has(normalName) || normalName.startsWith('x-forwarded-');
}

export function isHopByHopHeader(normalName: string): boolean {
  return hopByHopNames.has(normalName);
}

/** Whether `Connection` may name it: framing, credentials, identity and forwarding may not be removed by a caller. */
export function isProtectedFromConnection(normalName: string): boolean {
  return (
    endToEndNames.has(normalName) || isIdentityHeader(normalName) || isForwardingHeader(normalName)
  );
}
