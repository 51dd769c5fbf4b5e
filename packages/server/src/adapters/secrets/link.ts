import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { SecretReader } from './secret-reader.ts';

/** What an address that is a secret, since it holds a password, says beside it. */
export interface LinkFacts {
  /** Without the colon: `postgresql`, `rediss`. */
  readonly scheme: string;
  readonly host: string;
  readonly sslMode: string;
}

/** Reads the parts of a secret address that are none; err: a sentence without any of it. */
export async function readLink(reader: SecretReader): Promise<Result<LinkFacts, string>> {
  const secret = await reader();
  if (!secret.ok) return err(secret.error.message);
  const url = URL.parse(secret.value.reveal());
  if (url === null) return err('its address cannot be read');
  return ok({
    scheme: url.protocol.replace(/:$/, ''),
    host: url.hostname,
    sslMode: url.searchParams.get('sslmode') ?? '',
  });
}
