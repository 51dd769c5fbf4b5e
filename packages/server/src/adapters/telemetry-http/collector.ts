import type { Result, Secret } from '@postern/core/base';
import { err, isJsonObject, jsonValueOf, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Egress } from '../../http/index.ts';
import type { Delivered } from '../../observe/trace/index.ts';
import { deliveredAs, post } from './post.ts';

export interface CollectorOptions {
  readonly egress: Egress;
  readonly url: string;
  /** Each header from where its secret is kept, read anew for each delivery. */
  readonly headers: readonly (readonly [string, () => Promise<Result<Secret, Refusal>>])[];
}

/** Sends OTLP/HTTP bodies to one collector. Never throws. */
export function createCollector(options: CollectorOptions): (body: string) => Promise<Delivered> {
  return async (body) => {
    const headers = await headersOf(options.headers);
    if (!headers.ok) return { kind: 'later', why: headers.error };
    const answer = await post(options.egress, { url: options.url, headers: headers.value }, body);
    return deliveredAs(answer, rejectedIn);
  };
}

async function headersOf(
  secrets: CollectorOptions['headers'],
): Promise<Result<Record<string, string>, string>> {
  const headers: Record<string, string> = {};
  for (const [name, read] of secrets) {
    // oxlint-disable-next-line no-await-in-loop -- a collector wants one or two
    const secret = await read();
    if (!secret.ok) return err(secret.error.message);
    headers[name.toLowerCase()] = secret.value.reveal();
  }
  return ok(headers);
}

/** `ExportTracePartialSuccess`: a collector that takes a batch may still leave some of it out. */
function rejectedIn(body: Uint8Array): number {
  const answer = body.length === 0 ? undefined : jsonValueOf(new TextDecoder().decode(body));
  const partial = isJsonObject(answer) ? answer['partialSuccess'] : undefined;
  const rejected = isJsonObject(partial) ? Number(partial['rejectedSpans'] ?? 0) : 0;
  return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0;
}
