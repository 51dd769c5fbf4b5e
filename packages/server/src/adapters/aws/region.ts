import { readFile } from 'node:fs/promises';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

const regionPattern = /^[a-z0-9-]{1,32}$/;

/** The region that the operator named: variables first, as AWS's own tools read them, then the profile. */
export async function namedRegion(env: Environment, profile?: string): Promise<string | undefined> {
  const named = [env['AWS_REGION'], env['AWS_DEFAULT_REGION']].find((each) => isSet(each));
  const found = named ?? (await profileRegion(env, profile));
  return found !== undefined && regionPattern.test(found) ? found : undefined;
}

/** Where AWS's own tools keep profiles: the credentials, and everything else. */
export function profileFiles(env: Environment): {
  readonly credentials: string;
  readonly config: string;
} {
  const home = env['HOME'] ?? env['USERPROFILE'] ?? '';
  return {
    credentials: env['AWS_SHARED_CREDENTIALS_FILE'] ?? path.join(home, '.aws', 'credentials'),
    config: env['AWS_CONFIG_FILE'] ?? path.join(home, '.aws', 'config'),
  };
}

async function profileRegion(
  env: Environment,
  profile: string | undefined,
): Promise<string | undefined> {
  const name = profile ?? env['AWS_PROFILE'] ?? 'default';
  const { config, credentials } = profileFiles(env);
  return (
    regionIn(
      await textOf(config),
      name === 'default' ? ['default', 'profile default'] : [`profile ${name}`],
    ) ?? regionIn(await textOf(credentials), [name])
  );
}

/** The `region` of a section of an INI file. */
function regionIn(text: string, sections: readonly string[]): string | undefined {
  let section = '';
  for (const line of text.split('\n')) {
    const head = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line)?.[1];
    if (head !== undefined) section = head.replaceAll(/\s+/g, ' ');
    const value = /^region\s*=\s*(\S+)/.exec(line)?.[1];
    if (value !== undefined && sections.includes(section)) return value;
  }
  return undefined;
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return '';
  }
}

export function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}
