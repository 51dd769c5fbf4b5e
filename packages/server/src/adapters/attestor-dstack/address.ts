/** Where a guest agent listens. */
export type AgentAddress =
  | { readonly kind: 'socket'; readonly path: string }
  /** The simulator's, over TCP; never the one of a real guest. */
  | { readonly kind: 'url'; readonly url: URL };

/** Which of the agent's two generations of interfaces speaks there. */
export interface FoundAgent {
  readonly address: AgentAddress;
  readonly dialect: 'dstack' | 'tappd';
}

/** In the order in which dstack's own clients look. */
const socketPaths = [
  '/var/run/dstack/dstack.sock',
  '/var/run/dstack.sock',
  '/run/dstack/dstack.sock',
  '/run/dstack.sock',
] as const;
const legacySocketPath = '/var/run/tappd.sock';

/**
 * Finds the guest agent: `DSTACK_AGENT_ADDRESS`, then `DSTACK_SIMULATOR_ENDPOINT`, then the sockets of a guest,
 * then the socket of guests before 0.5. Variables that are set and wrong find nothing, rather than another agent.
 */
export function findAgent(
  environment: Readonly<Record<string, string | undefined>>,
  isSocket: (path: string) => boolean,
): FoundAgent | undefined {
  const named = environment['DSTACK_AGENT_ADDRESS'] ?? environment['DSTACK_SIMULATOR_ENDPOINT'];
  if (named !== undefined && named !== '') {
    const address = parseAddress(named);
    return address === undefined ? undefined : { address, dialect: 'dstack' };
  }
  const path = socketPaths.find(isSocket);
  if (path !== undefined) return { address: { kind: 'socket', path }, dialect: 'dstack' };
  return isSocket(legacySocketPath)
    ? { address: { kind: 'socket', path: legacySocketPath }, dialect: 'tappd' }
    : undefined;
}

/** A path, `unix:path`, or an http URL. */
export function parseAddress(text: string): AgentAddress | undefined {
  const path = text.startsWith('unix:') ? text.slice('unix:'.length) : text;
  if (path.startsWith('/')) return { kind: 'socket', path };
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === 'http:' ? { kind: 'url', url } : undefined;
}
