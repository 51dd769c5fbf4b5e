/** Proxies as they are in the world, small: SOCKS5 (RFC 1928, 1929) and HTTP CONNECT (RFC 9110 section 9.3.6). */
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface FakeProxy {
  readonly server: Server;
  /** What it was asked to reach, as `host:port` with the kind of the host. */
  readonly asked: string[];
  /** User and password that it saw, if any. */
  readonly logins: string[];
}

export interface FakeProxyOptions {
  /** Where a name leads; what is not here cannot be reached. */
  readonly names?: Readonly<Record<string, string>>;
  readonly login?: { readonly user: string; readonly password: string };
  /** Takes the request and never answers. */
  readonly hangs?: boolean;
  /** Answers in pieces of one byte. */
  readonly drips?: boolean;
}

function join(a: Socket, b: Socket): void {
  a.pipe(b).pipe(a);
  a.on('close', () => b.destroy()).on('error', () => b.destroy());
  b.on('close', () => a.destroy()).on('error', () => a.destroy());
}

function drip(socket: Socket, bytes: Uint8Array, options: FakeProxyOptions): void {
  if (options.drips !== true) socket.write(bytes);
  else for (const byte of bytes) socket.write(Buffer.of(byte));
}

/** Bytes of a socket, asked for in exact numbers. */
function reader(socket: Socket): (bytes: number) => Promise<Buffer> {
  let held = Buffer.alloc(0);
  let wake = (): void => undefined;
  socket.on('data', (piece: Buffer) => {
    held = Buffer.concat([held, piece]);
    wake();
  });
  return async (bytes) => {
    while (held.length < bytes) {
      // oxlint-disable-next-line no-await-in-loop -- waits for more
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const taken = held.subarray(0, bytes);
    held = held.subarray(bytes);
    return taken;
  };
}

export function socks5Proxy(options: FakeProxyOptions = {}): FakeProxy {
  const asked: string[] = [];
  const logins: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    void serve(socket, { ...options, asked, logins });
  });
  return { server, asked, logins };
}

async function serve(
  socket: Socket,
  options: FakeProxyOptions & Pick<FakeProxy, 'asked' | 'logins'>,
): Promise<void> {
  const take = reader(socket);
  const [version, count] = await take(2);
  const methods = await take(count ?? 0);
  const wants = options.login === undefined ? 0 : 2;
  if (version !== 5 || !methods.includes(wants)) {
    socket.end(Buffer.of(5, 255));
    return;
  }
  drip(socket, Buffer.of(5, wants), options);
  if (options.login !== undefined) {
    const user = (await take((await take(2))[1] ?? 0)).toString();
    const password = (await take((await take(1))[0] ?? 0)).toString();
    options.logins.push(`${user}:${password}`);
    const isRight = user === options.login.user && password === options.login.password;
    drip(socket, Buffer.of(1, isRight ? 0 : 1), options);
    if (!isRight) return;
  }
  const [, , , kind] = await take(4);
  const host =
    kind === 1
      ? [...(await take(4))].join('.')
      : kind === 4
        ? (await take(16)).toString('hex')
        : (await take((await take(1))[0] ?? 0)).toString();
  const port = (await take(2)).readUInt16BE();
  options.asked.push(`${kind === 3 ? 'name' : 'address'} ${host}:${port}`);
  if (options.hangs === true) return;
  const address = kind === 3 ? options.names?.[host] : kind === 4 ? '::1' : host;
  if (address === undefined) {
    drip(socket, Buffer.of(5, 4, 0, 1, 0, 0, 0, 0, 0, 0), options);
    return;
  }
  const upstream = connect(port, address);
  upstream.on('error', () => socket.end(Buffer.of(5, 5, 0, 1, 0, 0, 0, 0, 0, 0)));
  upstream.on('connect', () => {
    // Bound to a name: the longest of the three kinds of answer.
    drip(
      socket,
      Buffer.concat([Buffer.of(5, 0, 0, 3, 5), Buffer.from('proxy'), Buffer.of(0, 1)]),
      options,
    );
    socket.removeAllListeners('data');
    join(socket, upstream);
  });
}

export function connectProxy(options: FakeProxyOptions = {}): FakeProxy {
  const asked: string[] = [];
  const logins: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    let head = '';
    const onData = (piece: Buffer): void => {
      head += piece.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', onData);
      answer(socket, head, { ...options, asked, logins });
    };
    socket.on('data', onData);
  });
  return { server, asked, logins };
}

function answer(
  socket: Socket,
  head: string,
  options: FakeProxyOptions & Pick<FakeProxy, 'asked' | 'logins'>,
): void {
  const [, host = '', port = ''] =
    /^CONNECT \[?([^\]\s]+?)\]?:(\d+) HTTP\/1\.1\r\n/.exec(head) ?? [];
  options.asked.push(`${host}:${port}`);
  if (options.hangs === true) return;
  const basic = /^proxy-authorization: basic (\S+)\r$/im.exec(head)?.[1];
  if (basic !== undefined) options.logins.push(Buffer.from(basic, 'base64').toString());
  if (options.login !== undefined) {
    const { user, password } = options.login;
    if (options.logins.at(-1) !== `${user}:${password}`) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\n\r\n');
      return;
    }
  }
  const address = /^[\d.]+$|:/.test(host) ? host : options.names?.[host];
  if (address === undefined) {
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    return;
  }
  const upstream = connect(Number(port), address);
  upstream.on('error', () => socket.end('HTTP/1.1 504 Gateway Timeout\r\n\r\n'));
  upstream.on('connect', () => {
    drip(socket, Buffer.from('HTTP/1.1 200 Connection established\r\nvia: proxy\r\n\r\n'), options);
    join(socket, upstream);
  });
}
