import { readFile } from 'node:fs/promises';
import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { Invocation, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { deployFile } from './files.ts';

/** A public key on one line: type, base64, comment. Nothing that a shell or a comment could be ended with. */
const publicKey =
  /^(?:ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|ssh-rsa) [A-Za-z0-9+/]{40,}={0,3}(?: [\p{L}\p{N}@._+:/-]{1,200})?$/u;
const name = /^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$/u;
const host = /^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/u;
const fingerprint = /^SHA256:[A-Za-z0-9+/]{43}$/u;

type Options = Invocation['options'];

/** Prints one script with its arguments in it, ready to be run on the other machine. */
export const run: Run = async ({ options, io }) => {
  const script = await scriptOf(options);
  if (!script.ok) {
    io.err(script.error);
    return exitCodes.usage;
  }
  if (io.json) io.outJson({ script: script.value });
  else io.piece(script.value);
  return exitCodes.ok;
};

async function scriptOf(options: Options): Promise<Result<string, string>> {
  const kinds = (['windows', 'macos', 'linux'] as const).filter((kind) => options[kind] === true);
  const trusted = options['trust'];
  if (kinds.length + (typeof trusted === 'string' ? 1 : 0) !== 1)
    return err('Say one of --windows, --macos, --linux or --trust HOST.');
  const [kind] = kinds;
  if (kind === undefined) return trustScript(String(trusted), options);
  const key = await keyOf(options['key']);
  if (!key.ok) return key;
  if (kind === 'windows') return windowsScript(key.value, options);
  const user = text(options['user']);
  if (user !== undefined && !name.test(user)) return err('--user takes the name of a user.');
  const isKeyless = key.value === undefined;
  if (isKeyless && kind === 'macos') return err('--macos needs --user and --key.');
  if (!isKeyless && user === undefined) return err('--key needs --user.');
  return ok(
    withArguments(await deployFile('ssh', `${kind}.sh`), [
      ...(user === undefined ? [] : ['--user', user]),
      ...(key.value === undefined ? [] : ['--key', key.value]),
      ...(options['remove'] === true ? ['--remove'] : []),
    ]),
  );
}

async function trustScript(to: string, options: Options): Promise<Result<string, string>> {
  const user = text(options['user']);
  const print = text(options['fingerprint']);
  if (!host.test(to)) return err('--trust takes a name of the tailnet.');
  if (user === undefined || !name.test(user)) return err('--trust needs --user.');
  if (print !== undefined && !fingerprint.test(print))
    return err(
      '--fingerprint looks like SHA256:… with 43 characters, as `ssh-keygen -l` prints it.',
    );
  return ok(
    withArguments(await deployFile('ssh', 'trust.sh'), [
      '--host',
      to,
      '--user',
      user,
      ...(print === undefined ? [] : ['--fingerprint', print]),
    ]),
  );
}

async function windowsScript(
  key: string | undefined,
  options: Options,
): Promise<Result<string, string>> {
  if (key === undefined) return err('--windows needs --key: Tailscale SSH has no server there.');
  const remove = options['remove'] === true ? ' -Remove' : '';
  // A parameter block must stand first: the script becomes one block that is called with its parameters.
  const script = await deployFile('ssh', 'windows.ps1');
  return ok(`& {\n${script}} -PublicKey '${key}'${remove}\n`);
}

/** The shell sees the arguments as if they had been typed; single quotes hold whatever the patterns let through. */
function withArguments(script: string, args: readonly string[]): string {
  if (args.length === 0) return script;
  const line = `set -- ${args.map((arg) => `'${arg}'`).join(' ')}`;
  return script.replace('\nset -eu\n', () => `\nset -eu\n${line}\n`);
}

async function keyOf(
  option: string | boolean | undefined,
): Promise<Result<string | undefined, string>> {
  if (typeof option !== 'string') return ok(undefined);
  let line: string;
  try {
    line = (await readFile(option, 'utf8')).trim();
  } catch (cause) {
    return err(`--key: ${messageOf(cause)}`);
  }
  if (line.includes('PRIVATE KEY'))
    return err(
      `--key: ${option} is a private key. It never leaves its machine; name ${option}.pub.`,
    );
  return publicKey.test(line)
    ? ok(line)
    : err(`--key: ${option} is not one public key on one line.`);
}

function text(option: string | boolean | undefined): string | undefined {
  return typeof option === 'string' ? option : undefined;
}
