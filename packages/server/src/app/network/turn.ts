import type { Control, Role } from '../../control/index.ts';
import type { Coordination, NetworkShare } from '../../coordination/index.ts';
import type { DerpRelay } from '../../coordination/derp/index.ts';
import type { HttpHandler, UpgradeHandler } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';

/** A network that several gateways coordinate by turns: the one that leads serves the machines. */
export interface SharedNetwork extends NetworkShare {
  onRole(listener: (role: Role) => void): { close(): void };
}

export interface Turn {
  /** Whether machines are served here now. */
  serves(): boolean;
  close(): void;
}

interface TurnParts {
  readonly coordination: Coordination;
  readonly relay: DerpRelay;
  readonly control: Control;
  readonly logger: Logger;
  readonly shared: SharedNetwork | undefined;
}

/** Until a store that did not answer is asked again, ms. */
const retryMs = 1_000;

/** Follows who leads: begins to serve with all that the one before wrote, and ends every connection when another leads. */
export async function takeTurns(parts: TurnParts): Promise<Turn> {
  const { coordination, relay, control, logger, shared } = parts;
  const serves = (): boolean => coordination.serves && control.role().kind !== 'follower';
  if (shared === undefined) return { serves, close: () => undefined };
  let isClosed = false;
  const follow = async (): Promise<void> => {
    if (control.role().kind === 'follower') {
      if (coordination.serves) logger.warn('another gateway coordinates the network now');
      coordination.rest();
      await relay.recheck();
      return;
    }
    const health = await control.catchUp();
    // It may have ended meanwhile.
    if (isClosed || coordination.serves || control.role().kind === 'follower') return;
    if (health.kind !== 'good') {
      // Nobody is told of a network that is not the last one.
      retry = setTimeout(next, retryMs).unref();
      return;
    }
    await coordination.lead();
    logger.info('this gateway coordinates the network');
  };
  // One after the other: a role that comes and goes ends as it is.
  let turn = Promise.resolve();
  let retry: NodeJS.Timeout | undefined;
  const next = (): void => {
    clearTimeout(retry);
    turn = turn.then(follow).catch((fault: unknown) => logger.error({ err: fault }, 'fault'));
  };
  const watch = shared.onRole(next);
  next();
  await turn;
  return {
    serves,
    close: () => {
      isClosed = true;
      clearTimeout(retry);
      watch.close();
    },
  };
}

/** How long a refused machine or balancer had better wait, seconds. */
const retrySeconds = 2;

function whyNot(control: Control): string {
  const role = control.role();
  const leader = role.kind === 'follower' ? role.leader : undefined;
  return leader === undefined
    ? 'no gateway is known to coordinate the network now'
    : `the gateway ${JSON.stringify(leader)} coordinates the network`;
}

/** Whoever follows refuses, so that balancers and clients go to the one that leads. */
export function onlyInTurn(turn: Turn, control: Control, handler: HttpHandler): HttpHandler {
  return async (request, reply) => {
    if (turn.serves()) return handler(request, reply);
    const headers = { 'content-type': 'application/json', 'retry-after': String(retrySeconds) };
    reply.send(503, headers, `${JSON.stringify({ error: whyNot(control) })}\n`);
  };
}

/** The same for connections that would become one of ts2021 or of the relay. */
export function onlyUpgradesInTurn(
  turn: Turn,
  control: Control,
  upgrade: UpgradeHandler,
): UpgradeHandler {
  return (request, socket, head) => {
    if (turn.serves()) return upgrade(request, socket, head);
    const text = `${whyNot(control)}\n`;
    const length = Buffer.byteLength(text);
    socket.on('error', () => socket.destroy());
    socket.end(
      `HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: ${retrySeconds}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${length}\r\n\r\n${text}`,
    );
  };
}
