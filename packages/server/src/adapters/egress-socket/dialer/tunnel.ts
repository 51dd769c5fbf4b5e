import type { Socket } from 'node:net';
import { err, ok, type Result } from '@postern/core/base';
import { addrBytes, parseAddr } from '@postern/core/base/netip';
import type { OutboundProxy } from '../../../http/index.ts';

/** Where a tunnel leads: a name that the proxy resolves, or an address. */
export interface TunnelEnd {
  readonly hostname: string;
  readonly port: number;
}

/** Why there is no tunnel; `code` is for the log. */
export interface TunnelFailure {
  readonly code: string;
  readonly message: string;
}

type Tunnelled = Result<undefined, TunnelFailure>;

/** What a proxy may say before the tunnel is open. */
const headBytesMax = 16_384;
const headEnd = '\r\n\r\n';

/** Asks the proxy at the other end of a connected socket for a tunnel. Nothing of the upstream is read yet. */
export async function openTunnel(
  socket: Socket,
  proxy: OutboundProxy,
  end: TunnelEnd,
): Promise<Tunnelled> {
  const talk = new Talk(socket);
  const opened =
    proxy.kind === 'socks5' ? await socks5(talk, proxy, end) : await httpConnect(talk, proxy, end);
  return opened.ok && !talk.isSilent ? notA(proxy.kind) : opened;
}

/** RFC 1928, with user name and password of RFC 1929 where there are any. */
async function socks5(
  talk: Talk,
  { credentials }: OutboundProxy,
  end: TunnelEnd,
): Promise<Tunnelled> {
  talk.write(Uint8Array.from(credentials === undefined ? [5, 1, 0] : [5, 2, 0, 2]));
  const chosen = await talk.take(2);
  if (chosen?.[0] !== 5) return notA('SOCKS5');
  if (chosen[1] === 2 && credentials !== undefined) {
    if (!(await logIn(talk, credentials))) return refusedLogin();
  } else if (chosen[1] !== 0) return refusedLogin();
  const address = socksAddress(end.hostname);
  if (address === undefined) return failure('PROXY_NAME', 'cannot be given so long a name');
  talk.write(Buffer.of(5, 1, 0), address, Buffer.of(end.port >> 8, end.port & 0xff));
  const reply = await talk.take(4);
  if (reply?.[0] !== 5) return notA('SOCKS5');
  if (reply[1] !== 0) {
    const why = socksReplies[reply[1] ?? 0] ?? `refused with code ${reply[1]}`;
    return failure(`SOCKS_${reply[1]}`, why);
  }
  return (await skipBound(talk, reply[3] ?? 0)) ? ok(undefined) : notA('SOCKS5');
}

async function logIn(
  talk: Talk,
  credentials: NonNullable<OutboundProxy['credentials']>,
): Promise<boolean> {
  const user = Buffer.from(credentials.user);
  const password = Buffer.from(credentials.password.reveal());
  if (user.length > 255 || password.length > 255) return false;
  talk.write(Buffer.of(1, user.length), user, Buffer.of(password.length), password);
  return (await talk.take(2))?.[1] === 0;
}

const socksReplies: Readonly<Record<number, string>> = {
  1: 'failed',
  2: 'does not allow this connection',
  3: 'finds no way to the network',
  4: 'does not reach the host',
  5: 'was refused the connection',
  6: 'gave up waiting',
  7: 'makes no connections',
  8: 'does not know this kind of address',
};

function socksAddress(hostname: string): Buffer | undefined {
  const literal = parseAddr(hostname);
  if (literal.ok) {
    const bytes = addrBytes(literal.value);
    return Buffer.concat([Buffer.of(bytes.length === 4 ? 1 : 4), bytes]);
  }
  const name = Buffer.from(hostname);
  return name.length > 255 ? undefined : Buffer.concat([Buffer.of(3, name.length), name]);
}

/** The address that the proxy connects from: of any of three kinds, and of no use to us. */
async function skipBound(talk: Talk, kind: number): Promise<boolean> {
  const portBytes = 2;
  if (kind === 1) return (await talk.take(4 + portBytes)) !== undefined;
  if (kind === 4) return (await talk.take(16 + portBytes)) !== undefined;
  if (kind !== 3) return false;
  const length = (await talk.take(1))?.[0];
  return length !== undefined && (await talk.take(length + portBytes)) !== undefined;
}

/** RFC 9110 section 9.3.6. */
async function httpConnect(
  talk: Talk,
  { credentials }: OutboundProxy,
  { hostname, port }: TunnelEnd,
): Promise<Tunnelled> {
  const authority = `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`;
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (credentials !== undefined) {
    const pair = `${credentials.user}:${credentials.password.reveal()}`;
    lines.push(`Proxy-Authorization: Basic ${Buffer.from(pair).toString('base64')}`);
  }
  talk.write(Buffer.from(lines.join('\r\n') + headEnd));
  const head = await talk.takeHead();
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |\r)/.exec(head ?? '')?.[1]);
  if (Number.isNaN(status)) return notA('HTTP');
  if (status === 407) return refusedLogin();
  if (status < 200 || status > 299)
    return failure(`PROXY_${status}`, `answered with status ${status}`);
  return ok(undefined);
}

function failure(code: string, message: string): Result<never, TunnelFailure> {
  return err({ code, message });
}

function notA(protocol: string): Result<never, TunnelFailure> {
  return failure('PROXY_PROTOCOL', `ended the connection or does not speak ${protocol}`);
}

function refusedLogin(): Result<never, TunnelFailure> {
  return failure('PROXY_LOGIN', 'does not accept the credentials');
}

/** What a proxy says before the tunnel is open, in exact numbers of bytes. */
class Talk {
  readonly #socket: Socket;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  write(...pieces: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat(pieces));
  }

  /** Undefined where the connection ends before them. */
  async take(bytes: number): Promise<Buffer | undefined> {
    while (this.#held.length < bytes) {
      // oxlint-disable-next-line no-await-in-loop -- waits for more of it
      if (!(await this.#more())) return undefined;
    }
    const taken = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return taken;
  }

  async takeHead(): Promise<string | undefined> {
    let end = this.#held.indexOf(headEnd);
    while (end === -1) {
      if (this.#held.length > headBytesMax) return undefined;
      // oxlint-disable-next-line no-await-in-loop -- as above
      if (!(await this.#more())) return undefined;
      end = this.#held.indexOf(headEnd);
    }
    return (await this.take(end + headEnd.length))?.toString('latin1');
  }

  /** The upstream speaks only when it was asked: whatever came already is no part of an answer. */
  get isSilent(): boolean {
    return this.#held.length === 0;
  }

  async #more(): Promise<boolean> {
    // All that is there, so that the next `readable` means that more came. A socket without an encoding gives buffers.
    const piece = this.#socket.read() as Buffer | null;
    if (piece === null) return await more(this.#socket);
    this.#held = Buffer.concat([this.#held, piece]);
    return true;
  }
}

function more(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.destroyed || socket.readableEnded) {
      resolve(false);
      return;
    }
    const settle = (isThere: boolean): void => {
      socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onEnd);
      resolve(isThere);
    };
    const onReadable = (): void => settle(true);
    const onEnd = (): void => settle(false);
    socket
      .once('readable', onReadable)
      .once('end', onEnd)
      .once('close', onEnd)
      .once('error', onEnd);
  });
}
