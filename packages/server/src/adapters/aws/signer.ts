import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { AwsCredentials } from './credentials.ts';
import { Sha256 } from './sha256.ts';

/** One request as it will go out: nothing of it may change after it was signed. */
export interface UnsignedRequest {
  readonly method: string;
  readonly url: URL;
  /** Names in lower case. `host` is added. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface AwsSigner {
  /** The headers to send, those given among them; or why there are none, in a few words. */
  sign(request: UnsignedRequest): Promise<Result<Readonly<Record<string, string>>, string>>;
  /** What was signed with was refused. */
  forget(): void;
}

export interface SignerOptions {
  /** The name in the signature's scope. */
  readonly service: string;
  readonly region: string;
  readonly credentials: AwsCredentials;
  readonly nowMs: () => number;
}

/** Signature Version 4 over the exact bytes of a request. */
export function createAwsSigner(options: SignerOptions): AwsSigner {
  return {
    sign: async (request) => {
      const { SignatureV4 } = await import('@smithy/signature-v4');
      const signer = new SignatureV4({
        service: options.service,
        region: options.region,
        credentials: () => options.credentials.current(),
        sha256: Sha256,
      });
      const { url } = request;
      try {
        const signed = await signer.sign(
          {
            method: request.method,
            protocol: url.protocol,
            hostname: url.hostname,
            path: url.pathname,
            query: queryOf(url),
            headers: { ...request.headers, host: url.host },
            body: request.body,
          },
          { signingDate: new Date(options.nowMs()) },
        );
        const { host: _host, ...headers } = signed.headers;
        return ok(headers);
      } catch (cause) {
        // The chain throws when no source has credentials; its message may name a file, never a secret.
        return err(
          `no AWS credentials were found (${cause instanceof Error ? cause.name : 'error'})`,
        );
      }
    },
    forget: () => options.credentials.forget(),
  };
}

function queryOf(url: URL): Record<string, string[]> {
  const query: Record<string, string[]> = {};
  for (const name of new Set(url.searchParams.keys())) query[name] = url.searchParams.getAll(name);
  return query;
}
