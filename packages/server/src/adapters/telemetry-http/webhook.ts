import { createHmac } from 'node:crypto';
import type { Result, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Egress } from '../../http/index.ts';
import type { Delivered } from '../../observe/trace/index.ts';
import { deliveredAs, post } from './post.ts';

export interface WebhookOptions {
  readonly egress: Egress;
  readonly url: string;
  readonly secret: () => Promise<Result<Secret, Refusal>>;
  readonly nowMs: () => number;
}

/** What receivers compare: `t=<Unix seconds>,v1=<hex of HMAC-SHA256 over "<t>.<body>">`. */
const signatureHeader = 'postern-signature';

/** Sends signed bodies to one webhook. Never throws. */
export function createWebhook(options: WebhookOptions): (body: string) => Promise<Delivered> {
  return async (body) => {
    const secret = await options.secret();
    if (!secret.ok) return { kind: 'later', why: secret.error.message };
    const seconds = Math.floor(options.nowMs() / 1_000);
    const mac = createHmac('sha256', secret.value.reveal())
      .update(`${seconds}.${body}`)
      .digest('hex');
    const headers = { [signatureHeader]: `t=${seconds},v1=${mac}` };
    return deliveredAs(await post(options.egress, { url: options.url, headers }, body));
  };
}
