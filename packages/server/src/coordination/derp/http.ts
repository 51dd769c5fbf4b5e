import type { Duplex } from 'node:stream';
import { protocolVersion } from './frame.ts';
import type { DerpRelay } from './relay.ts';

/** The HTTP face of a relay: small answers, and the upgrade by which DERP begins. */

/** The part of a request that counts here; header names in lower case, as node:http gives them. */
export interface DerpRequest {
  readonly method: string;
  /** Without a query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface DerpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const challengeLengthMax = 64;
const noStore = 'no-cache, no-store, must-revalidate, no-transform, max-age=0';
const text = { 'content-type': 'text/plain; charset=utf-8' };

/** The answer to a request of a relay's paths that is no upgrade; undefined for any other path. */
export function answerDerp(request: DerpRequest): DerpAnswer | undefined {
  switch (request.path) {
    case '/derp':
      return { status: 426, headers: text, body: 'DERP requires connection upgrade\n' };
    case '/derp/probe':
    case '/derp/latency-check':
      return answerProbe(request.method);
    case '/generate_204':
      return answerNoContent(request);
    default:
      return undefined;
  }
}

function answerProbe(method: string): DerpAnswer {
  if (method !== 'GET' && method !== 'HEAD') {
    return { status: 405, headers: { ...text, allow: 'GET, HEAD' }, body: 'bogus probe method\n' };
  }
  return { status: 200, headers: { 'access-control-allow-origin': '*' }, body: '' };
}

/** Captive portal detection: an answer that only the real server gives. */
function answerNoContent({ headers }: DerpRequest): DerpAnswer {
  const challenge = headers['x-tailscale-challenge'];
  const isSafe =
    typeof challenge === 'string' &&
    challenge.length <= challengeLengthMax &&
    /^[\w.:-]+$/.test(challenge);
  const response = isSafe ? { 'x-tailscale-response': `response ${challenge}` } : {};
  return { status: 204, headers: { 'cache-control': noStore, ...response }, body: '' };
}

/** Whether a request asks for DERP: `/derp` with `Upgrade: DERP` in any case. */
export function isDerpUpgrade({ method, path, headers }: DerpRequest): boolean {
  const upgrade = headers['upgrade'];
  return (
    method === 'GET' &&
    path === '/derp' &&
    typeof upgrade === 'string' &&
    upgrade.toLowerCase() === 'derp'
  );
}

/**
 * Takes over the socket of an upgrade request. A client that knows the relay's key from its certificate asks for a
 * fast start and is sent no HTTP answer.
 */
export async function acceptDerpUpgrade(
  relay: DerpRelay,
  upgrade: {
    readonly request: DerpRequest;
    readonly socket: Duplex;
    readonly head: Uint8Array;
    readonly address: string;
  },
): Promise<void> {
  const { request, socket, head, address } = upgrade;
  if (request.headers['derp-fast-start'] !== '1') {
    const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: DERP', 'Connection: Upgrade'];
    lines.push(`Derp-Version: ${protocolVersion}`, `Derp-Public-Key: ${relay.publicKey}`, '', '');
    socket.write(lines.join('\r\n'));
  }
  await relay.accept(socket, { head, address });
}
