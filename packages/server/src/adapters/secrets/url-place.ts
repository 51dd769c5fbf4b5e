import type { Secret } from '@postern/core/base';

/** Where a URL that is a secret leads: its host and port, and nothing else of it. */
export interface UrlPlace {
  readonly host: string;
  /** Undefined: the usual one. */
  readonly port: number | undefined;
}

export function placeOfUrl(secret: Secret): UrlPlace | undefined {
  const text = secret.reveal();
  if (!URL.canParse(text)) return undefined;
  const { hostname, port } = new URL(text);
  const host = hostname.replaceAll(/^\[|\]$/g, '');
  return host === '' ? undefined : { host, port: port === '' ? undefined : Number(port) };
}
