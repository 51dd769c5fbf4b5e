import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { Secret, ok } from '@postern/core/base';
import type { SecretSource } from '@postern/core/contract';
import { refuse } from '@postern/core/errors';
import type { AwsSurroundings } from './aws.ts';
import { awsReader, describeAwsSource } from './aws.ts';
import type { SecretReader } from './secret-reader.ts';

/** What readers need: the environment, a clock, and the way out for secrets that AWS keeps. */
export type SecretSurroundings = AwsSurroundings;

/** Keys and tokens are short; a larger file is the wrong file. */
const secretBytesMax = 65_536;
/** How long a file's content is used before its time stamp is looked at again. */
const recheckMs = 1_000;

export function secretReader(source: SecretSource, surroundings: SecretSurroundings): SecretReader {
  if ('env' in source) return envReader(source.env, surroundings.env);
  if ('file' in source) return fileReader(source.file, surroundings.nowMs);
  if (!('credential' in source)) return awsReader(source, surroundings);
  const folder = surroundings.env['CREDENTIALS_DIRECTORY'];
  if (folder === undefined) {
    return () =>
      Promise.resolve(
        refuse(
          'upstream_credential',
          `The credential "${source.credential}" is not there: systemd gave this process none.`,
        ),
      );
  }
  return fileReader(path.join(folder, source.credential), surroundings.nowMs);
}

/** For people: where a secret comes from. */
export function describeSecretSource(source: SecretSource): string {
  if ('env' in source) return `environment variable ${source.env}`;
  if ('file' in source) return `file ${source.file}`;
  if (!('credential' in source)) return describeAwsSource(source);
  return `systemd credential ${source.credential}`;
}

function envReader(name: string, env: SecretSurroundings['env']): SecretReader {
  return () => {
    const text = env[name];
    if (text === undefined || text === '') {
      return Promise.resolve(
        refuse('upstream_credential', `The environment variable ${name} is not set.`),
      );
    }
    return Promise.resolve(ok(new Secret(text)));
  };
}

function fileReader(file: string, nowMs: () => number): SecretReader {
  let cached:
    | { readonly secret: Secret; readonly stamp: string; readonly checkedAtMs: number }
    | undefined;
  return async () => {
    if (cached !== undefined && nowMs() - cached.checkedAtMs < recheckMs) return ok(cached.secret);
    try {
      const facts = await stat(file);
      const stamp = `${facts.mtimeMs}:${facts.ino}:${facts.size}`;
      if (facts.size > secretBytesMax)
        return refuse(
          'upstream_credential',
          `The secret file ${file} is larger than ${secretBytesMax} bytes.`,
        );
      const secret =
        cached?.stamp === stamp
          ? cached.secret
          : new Secret((await readFile(file, 'utf8')).replace(/\r?\n$/, ''));
      if (secret.isEmpty) return refuse('upstream_credential', `The secret file ${file} is empty.`);
      cached = { secret, stamp, checkedAtMs: nowMs() };
      return ok(secret);
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error';
      return refuse('upstream_credential', `The secret file ${file} cannot be read (${code}).`);
    }
  };
}
