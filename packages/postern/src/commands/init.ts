import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { confirm, isCancel, text } from '@clack/prompts';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import {
  createLazyEgress,
  detectProviders,
  ownPort,
  parseConfigText,
  policyFileOf,
  resolveSettings,
} from '@postern/server/app';
import type { Detected, Settings } from '@postern/server/app';
import type { ExitCode, Invocation, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import type { StarterFiles } from '../output/environment-config.ts';
import type { Answers } from '../output/starter-config.ts';
import { starterConfig, starterPolicy } from '../output/starter-config.ts';

export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const settings = resolveSettings(io.flags, io.env);
  const file = settings.configFile ?? path.join(settings.stateDir, 'postern.hujson');
  if (options['env'] !== undefined) return writeEnvironment(invocation, file, options['env']);
  const detected = await detect(settings);
  const answers =
    options['yes'] === true || !io.isInteractive ? defaults(detected) : await ask(detected);
  if (answers === undefined) {
    io.err('Nothing was written.');
    return exitCodes.failed;
  }
  return write(invocation, file, {
    config: starterConfig(answers),
    policy: starterPolicy(answers),
  });
};

/** The files of a whole picture, without a question: what is here says nothing about it. */
async function writeEnvironment(
  invocation: Invocation,
  file: string,
  name: unknown,
): Promise<ExitCode> {
  const [{ environments }, { environmentFiles }] = await Promise.all([
    import('@postern/server/app/machine'),
    import('../output/environment-config.ts'),
  ]);
  const environment = environments.find((each) => each === name);
  if (environment !== undefined) return write(invocation, file, environmentFiles(environment));
  invocation.io.err(`--env takes ${environments.join(', ')}.`);
  return exitCodes.usage;
}

async function detect(settings: Settings): Promise<readonly Detected[]> {
  const handle = createLazyEgress();
  const { egress } = handle;
  try {
    return (await detectProviders({ env: settings.env, egress, ownPort: ownPort(settings) }))
      .detected;
  } finally {
    await handle.close();
  }
}

function defaults(providers: readonly Detected[]): Answers {
  return { providers, owner: undefined, trustLoopback: true };
}

async function ask(detected: readonly Detected[]): Promise<Answers | undefined> {
  const providers: Detected[] = [];
  for (const each of detected) {
    const wanted = await confirm({ message: `Serve ${each.id} (${each.from})?` });
    if (isCancel(wanted)) return undefined;
    if (wanted) providers.push(each);
  }
  const owner = await text({
    message: 'Your login on the private network, if you have one (alice@example.com)',
    defaultValue: '',
  });
  if (isCancel(owner)) return undefined;
  const trustLoopback = await confirm({
    message: 'May you call models from this machine without a key?',
  });
  if (isCancel(trustLoopback)) return undefined;
  return { providers, owner: owner === '' ? undefined : owner, trustLoopback };
}

async function write(invocation: Invocation, file: string, files: StarterFiles): Promise<ExitCode> {
  const { io, options } = invocation;
  const content = files.config;
  const checked = parseConfigText(content, file);
  if (!checked.ok) {
    io.err(checked.error.map(({ pointer, message }) => `${pointer}: ${message}`).join('\n'));
    return exitCodes.config;
  }
  const policy = policyFileOf({ configFile: file, stateDir: '' });
  const flag = options['force'] === true ? 'w' : 'wx';
  const written = await writeNew(file, content, flag);
  if (!written.ok) {
    io.err(written.error);
    return exitCodes.failed;
  }
  // Somebody's policy is never replaced without being asked for: it says more than a starter does.
  const policyWritten = await writeNew(policy, files.policy, flag);
  if (!policyWritten.ok) io.err(policyWritten.error);
  if (io.json) io.outJson({ file, policy: policyWritten.ok ? policy : null });
  else {
    const said = policyWritten.ok ? `${file} and ${policy} are written.` : `${file} is written.`;
    io.out(`${said} Read ${policyWritten.ok ? 'them' : 'it'}, then: postern up`);
  }
  return exitCodes.ok;
}

async function writeNew(
  file: string,
  content: string,
  flag: 'w' | 'wx',
): Promise<Result<void, string>> {
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, content, { flag, mode: 0o600 });
    return ok(undefined);
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    return err(
      exists
        ? `${file} is there already; --force replaces it.`
        : `${file} cannot be written: ${String(cause)}`,
    );
  }
}
