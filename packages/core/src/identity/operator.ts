import { isLoopback, parseAddr, unmap } from '../base/netip/index.ts';
import type { Result } from '../base/index.ts';
import { err, ok } from '../base/index.ts';

/** What is known about this process and the machine around it. Gathered by the adapter; judged here. */
export interface OperatorFacts {
  readonly isLinux: boolean;
  /** Names of the environment variables that are set, also to nothing. */
  readonly variables: ReadonlySet<string>;
  /** Target of `/proc/self/ns/pid`; undefined where it cannot be read. Linux only. */
  readonly pidNamespace: string | undefined;
  /** Text of `/proc/self/cgroup`; undefined where it cannot be read. Linux only. */
  readonly cgroup: string | undefined;
  /** A tailscaled that could dial this process for its peers; `unknown` says what could not be read. */
  readonly tailscaled: { readonly found: boolean; readonly unknown?: string };
}

/** What is known about the one request. */
export interface OperatorQuestion {
  readonly peerAddress: string | undefined;
  /** The owner of the client's socket, as read at accept. */
  readonly localOwner: { readonly ours: true } | { readonly ours: false; readonly why: string };
  /** `Forwarded`, `X-Forwarded-*`, `X-Real-IP` or `Via` was there before headers were stripped. */
  readonly sawForwarding: boolean;
  /** `Tailscale-*` (or another identity header) was there before headers were stripped. */
  readonly sawIdentityHeaders: boolean;
  readonly hasConfigFile: boolean;
  readonly trustLoopback: boolean;
}

/** Inode of the initial PID namespace, a constant of the kernel (PROC_PID_INIT_INO in linux/proc_ns.h). */
export const initialPidNamespace = 'pid:[4026531836]';

/** The variables by which Tailscale's container image (containerboot) is set up. */
export const containerbootVariables: readonly string[] = Object.freeze([
  'TS_ACCEPT_DNS',
  'TS_AUDIENCE',
  'TS_AUTHKEY',
  'TS_AUTH_KEY',
  'TS_AUTH_ONCE',
  'TS_BOOT_TIMEOUT',
  'TS_CERT_SHARE_MODE',
  'TS_CLIENT_ID',
  'TS_CLIENT_SECRET',
  'TS_DEBUG_ADDR_PORT',
  'TS_DEBUG_FIREWALL_MODE',
  'TS_DEST_IP',
  'TS_ENABLE_HEALTH_CHECK',
  'TS_ENABLE_METRICS',
  'TS_EXPERIMENTAL_DEST_DNS_NAME',
  'TS_EXPERIMENTAL_SERVICE_AUTO_ADVERTISEMENT',
  'TS_EXPERIMENTAL_VERSIONED_CONFIG_DIR',
  'TS_EXTRA_ARGS',
  'TS_HEALTHCHECK_ADDR_PORT',
  'TS_HOSTNAME',
  'TS_ID_TOKEN',
  'TS_KUBE_SECRET',
  'TS_LOCAL_ADDR_PORT',
  'TS_OUTBOUND_HTTP_PROXY_LISTEN',
  'TS_ROUTES',
  'TS_SERVE_CONFIG',
  'TS_SOCKET',
  'TS_SOCKS5_SERVER',
  'TS_STATE_DIR',
  'TS_TAILNET_TARGET_FQDN',
  'TS_TAILNET_TARGET_IP',
  'TS_TAILSCALED_EXTRA_ARGS',
  'TS_USERSPACE',
]);

/** Set by container managers: systemd's convention (podman, nspawn, lxc) and Kubernetes. */
const containerVariables = ['container', 'KUBERNETES_SERVICE_HOST'] as const;
const containerCgroup = /docker|kubepods|libpod|lxc/;

const useKey = 'send a key made with `postern key create` as a bearer token';

/** Is this address the machine itself? IPv4-mapped forms count as the IPv4 address. */
export function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  const parsed = parseAddr(address);
  return parsed.ok && isLoopback(unmap(parsed.value));
}

type Condition = (question: OperatorQuestion, facts: OperatorFacts) => string | undefined;

/** In the order in which they are told: what the caller can change first. */
const conditions: readonly Condition[] = [
  (question) =>
    isLoopbackAddress(question.peerAddress)
      ? undefined
      : `this connection does not come from this machine: ${useKey}`,
  (question) =>
    question.hasConfigFile && !question.trustLoopback
      ? `there is a configuration file, so callers on this machine are not believed by themselves: ${useKey}, or write "trustLoopback": true in the file`
      : undefined,
  (question) =>
    question.sawForwarding
      ? `the request was forwarded by a proxy (it has Forwarded, X-Forwarded-*, X-Real-IP or Via), so its sender is unknown: ${useKey}, or call without the proxy`
      : undefined,
  (question) =>
    question.sawIdentityHeaders
      ? `the request has Tailscale-* or other identity headers, which only \`tailscale serve\` may send and only to the serve socket: leave them out, or point \`tailscale serve\` at that socket; or ${useKey}`
      : undefined,
  containerProblem,
  (question, facts) =>
    !facts.isLinux || question.localOwner.ours
      ? undefined
      : `${question.localOwner.why}: ${useKey}, or call as the user who started Postern`,
  tailscaledProblem,
];

/**
 * Whether a loopback caller is the person who started this process. Every condition must hold; the refusal is the
 * first that does not, as a sentence that names the fix. Loopback alone proves nothing: a proxy, a tailscaled in
 * userspace mode and every other user of the machine connect from there too.
 */
export function judgeOperator(
  question: OperatorQuestion,
  facts: OperatorFacts,
): Result<undefined, string> {
  for (const condition of conditions) {
    const problem = condition(question, facts);
    if (problem !== undefined) return err(`You are not taken for the local operator: ${problem}.`);
  }
  return ok(undefined);
}

function containerProblem(_question: OperatorQuestion, facts: OperatorFacts): string | undefined {
  const sidecar = containerbootVariables.find((name) => facts.variables.has(name));
  if (sidecar !== undefined)
    return `${sidecar} is set, which is how Tailscale’s container is configured, and that container dials loopback for the whole network: unset it, or ${useKey}`;
  const manager = containerVariables.find((name) => facts.variables.has(name));
  if (manager !== undefined)
    return `the variable ${manager} says that Postern runs in a container, where loopback is shared with other containers: ${useKey}`;
  if (!facts.isLinux) return undefined;
  if (facts.pidNamespace === undefined || facts.cgroup === undefined)
    return `/proc/self cannot be read, so Postern may be in a container: ${useKey}`;
  if (facts.pidNamespace !== initialPidNamespace)
    return `Postern runs in a PID namespace of its own (a container), where loopback is shared with other containers: ${useKey}`;
  const word = containerCgroup.exec(facts.cgroup)?.[0];
  if (word !== undefined)
    return `the control group of Postern is one of ${word} (a container), where loopback is shared with other containers: ${useKey}`;
  return undefined;
}

function tailscaledProblem(_question: OperatorQuestion, facts: OperatorFacts): string | undefined {
  if (facts.tailscaled.unknown !== undefined)
    return `it cannot be ruled out that a tailscaled of your own user dials this port for its peers (${facts.tailscaled.unknown}): ${useKey}`;
  if (!facts.tailscaled.found) return undefined;
  return facts.isLinux
    ? `a tailscaled runs as the same user as Postern and may dial this port for its peers: ${useKey}, or run Postern as another user`
    : `a tailscaled runs on this machine and may dial this port for its peers: ${useKey}`;
}
