import { readFile } from 'node:fs/promises';
import type { Result } from '@postern/core/base';
import { err, ok, Secret } from '@postern/core/base';

type Env = Readonly<Record<string, string | undefined>>;

/** What the variables of Tailscale's own image say, as far as they are for us. */
export interface TailscaleEnv {
  /** The key itself, or `file:/path` of it. */
  readonly authKey: string | undefined;
  readonly hostname: string | undefined;
  /** Of `--login-server` in TS_EXTRA_ARGS. */
  readonly loginServer: string | undefined;
  readonly tags: readonly string[];
  readonly acceptDns: boolean;
  /** Words of TS_EXTRA_ARGS that nothing is done with. */
  readonly ignored: readonly string[];
}

export const tailscaleServer = 'https://controlplane.tailscale.com';

export function readTailscaleEnv(env: Env): TailscaleEnv {
  const words = (env['TS_EXTRA_ARGS'] ?? '').split(/\s+/).filter((word) => word !== '');
  const ignored: string[] = [];
  let [loginServer, tags]: [string | undefined, readonly string[]] = [undefined, []];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const [flag = '', ...rest] = word.split('=');
    const isOurs = flag === '--login-server' || flag === '--advertise-tags';
    const value = rest.length > 0 ? rest.join('=') : isOurs ? (words[(at += 1)] ?? '') : '';
    if (flag === '--login-server') loginServer = value;
    else if (flag === '--advertise-tags') tags = value.split(',').filter((tag) => tag !== '');
    else ignored.push(word);
  }
  return {
    authKey: textOf(env['TS_AUTHKEY']) ?? textOf(env['TS_AUTH_KEY']),
    hostname: textOf(env['TS_HOSTNAME']),
    loginServer: textOf(loginServer),
    tags,
    acceptDns: env['TS_ACCEPT_DNS'] === 'true',
    ignored,
  };
}

/** The key, read where it is kept. */
export async function authKeyOf({ authKey }: TailscaleEnv): Promise<Result<Secret, string>> {
  if (authKey === undefined) return err('TS_AUTHKEY is not set');
  if (!authKey.startsWith('file:')) return ok(new Secret(authKey));
  const file = authKey.slice('file:'.length);
  const text = (await readFile(file, 'utf8').catch(() => '')).trim();
  return text === '' ? err(`TS_AUTHKEY: ${file} cannot be read`) : ok(new Secret(text));
}

export function textOf(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
