import { readdir, readFile, readlink } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { request } from 'node:http';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';

/** Where a tailscaled answers local programs. */
export type LocalApiPlace =
  /** A unix socket, or a named pipe on Windows. */
  | { readonly kind: 'socket'; readonly path: string }
  /** The macOS app: a loopback port, and a secret that only users of this machine can read. */
  | { readonly kind: 'port'; readonly port: number; readonly secret: string };

/** Long for a lookup in memory, short for a caller who waits. */
const answerMsMax = 2_000;
/** A node with many allowed routes and capabilities stays under 100 KiB; a status without peers too. */
export const answerBytesMax = 1_048_576;
const macFolder = '/Library/Tailscale';
const macStoreFolder = 'Library/Group Containers/W5364U7YZB.group.io.tailscale.ipn.macos';
const windowsPipe = '\\\\.\\pipe\\ProtectedPrefix\\Administrators\\Tailscale\\tailscaled';

/**
 * Where a tailscaled of this machine may answer, the likeliest first. `TS_SOCKET` is what containers name their
 * socket by; `/tmp/tailscaled.sock` is where Tailscale's own image puts it.
 */
export function localSockets(
  platform: NodeJS.Platform,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const named = env['TS_SOCKET'];
  const first = named === undefined || named === '' ? [] : [named];
  if (platform === 'win32') return [...first, windowsPipe];
  if (platform === 'darwin') return [...first, '/var/run/tailscaled.socket'];
  return [
    ...first,
    '/var/run/tailscale/tailscaled.sock',
    '/tmp/tailscaled.sock',
    '/var/packages/Tailscale/var/tailscaled.sock',
    '/tmp/tailscale/tailscaled.sock',
  ];
}

/** The tailscaled of this machine, as far as one can be seen without asking it. */
export async function findLocalApi(
  platform: NodeJS.Platform,
  env: Readonly<Record<string, string | undefined>>,
): Promise<LocalApiPlace | undefined> {
  const found = localSockets(platform, env).find((each) => existsSync(each));
  if (found !== undefined) return { kind: 'socket', path: found };
  if (platform !== 'darwin') return undefined;
  const home = env['HOME'] ?? '';
  return (await macApp(macFolder)) ?? macStoreApp(path.join(home, macStoreFolder));
}

/** The standalone macOS app leaves its port as the target of a link and its secret in a file beside it. */
export async function macApp(folder: string): Promise<LocalApiPlace | undefined> {
  try {
    const port = Number(await readlink(path.join(folder, 'ipnport')));
    if (!Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
    const secret = (await readFile(path.join(folder, `sameuserproof-${port}`), 'utf8')).trim();
    return secret === '' ? undefined : { kind: 'port', port, secret };
  } catch {
    return undefined;
  }
}

/** That of the App Store has both in the name of an empty file of the user who runs it, which only they can list. */
export async function macStoreApp(folder: string): Promise<LocalApiPlace | undefined> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const [, digits, secret = ''] = /^sameuserproof-(\d{1,5})-([0-9a-f]+)$/.exec(name) ?? [];
    const port = Number(digits);
    if (port >= 1 && port <= 65_535) return { kind: 'port', port, secret };
  }
  return undefined;
}

export interface LocalCall {
  readonly method?: 'GET' | 'POST' | 'PATCH';
  /** Below `/localapi/v0/`, with its query. */
  readonly path: string;
  readonly body?: string;
  /** The version of what is replaced (RFC 9110 section 13.1.1). */
  readonly ifMatch?: string;
  readonly timeoutMs?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly etag: string | undefined;
}

function optionsOf(place: LocalApiPlace, { method = 'GET', path: target, ifMatch }: LocalCall) {
  const at: RequestOptions =
    place.kind === 'socket'
      ? { socketPath: place.path }
      : { host: '127.0.0.1', port: place.port, auth: `:${place.secret}` };
  return {
    ...at,
    method,
    path: `/localapi/v0/${target}`,
    agent: false,
    headers: {
      // tailscaled answers only to this Host: no web page can send it.
      host: 'local-tailscaled.sock',
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    },
  };
}

/** One call; err: a sentence why there is no answer. */
export function callLocalApi(
  place: LocalApiPlace,
  call: LocalCall,
): Promise<Result<HttpAnswer, string>> {
  return new Promise((resolve) => {
    const fail = (why: string): void => {
      resolve(err(why));
      sent.destroy();
    };
    const sent = request(optionsOf(place, call), (answer) => {
      const chunks: Uint8Array[] = [];
      let length = 0;
      answer.on('data', (chunk: Uint8Array) => {
        length += chunk.length;
        if (length > answerBytesMax) fail('the answer of tailscaled is too long');
        else chunks.push(chunk);
      });
      answer.on('end', () => {
        if (!answer.complete) return fail('tailscaled broke off');
        const { etag } = answer.headers;
        resolve(ok({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks), etag }));
      });
      answer.on('error', () => fail('tailscaled broke off'));
    });
    const timer = setTimeout(
      () => fail('tailscaled does not answer in time'),
      call.timeoutMs ?? answerMsMax,
    );
    timer.unref();
    sent.on('error', (error) => fail(unreachable(error)));
    sent.on('close', () => clearTimeout(timer));
    sent.end(call.body);
  });
}

function unreachable(error: Error): string {
  return 'code' in error ? `tailscaled cannot be reached (${String(error.code)})` : 'no answer';
}

/**
 * Calls back whenever the daemon has something new: another netmap, state or filter. What it says is not read, so it
 * may be of any length. Resolves when the stream ends, for whatever reason.
 */
export function watchLocalApi(
  place: LocalApiPlace,
  onNews: () => void,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    // Rate-limited (256) news with the state first (2).
    const call = { path: 'watch-ipn-bus?mask=258', method: 'GET' } as const;
    const sent: ClientRequest = request({ ...optionsOf(place, call), signal }, (answer) => {
      if (answer.statusCode !== 200) sent.destroy();
      followNews(answer, onNews);
    });
    sent.on('error', () => undefined);
    sent.on('close', () => resolve());
    sent.end();
  });
}

function followNews(answer: IncomingMessage, onNews: () => void): void {
  answer.on('data', (chunk: Uint8Array) => {
    // One line a message: the news counts when its last byte is here.
    if (chunk.includes(0x0a)) onNews();
  });
  answer.on('error', () => undefined);
}
