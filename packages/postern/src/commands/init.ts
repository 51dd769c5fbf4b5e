import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { confirm, isCancel, text } from '@clack/prompts';
import {
  createLazyEgress,
  detectProviders,
  ownPort,
  parseConfigText,
  resolveSettings,
} from '@postern/server/app';
import type { Detected, Settings } from '@postern/server/app';
import type { ExitCode, Invocation, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { starterConfig } from '../output/starter-config.ts';

export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const settings = resolveSettings(io.flags, io.env);
  const file = settings.configFile ?? path.join(settings.stateDir, 'postern.hujson');
  const detected = await detect(settings);
  const answers =
    options['yes'] === true || !io.isInteractive ? defaults(detected) : await ask(detected);
  if (answers === undefined) {
    io.err('Nothing was written.');
    return exitCodes.failed;
  }
  return write(invocation, file, starterConfig(answers));
};

export interface Answers {
  readonly providers: readonly Detected[];
  readonly owner: string | undefined;
  readonly trustLoopback: boolean;
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

async function write(
  { io, options }: Invocation,
  file: string,
  content: string,
): Promise<ExitCode> {
  const checked = parseConfigText(content, file);
  if (!checked.ok) {
    io.err(checked.error.map(({ pointer, message }) => `${pointer}: ${message}`).join('\n'));
    return exitCodes.config;
  }
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, content, { flag: options['force'] === true ? 'w' : 'wx', mode: 0o600 });
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    io.err(
      exists
        ? `${file} is there already; --force replaces it.`
        : `${file} cannot be written: ${String(cause)}`,
    );
    return exitCodes.failed;
  }
  if (io.json) io.outJson({ file });
  else io.out(`${file} is written. Read it, then: postern up`);
  return exitCodes.ok;
}
