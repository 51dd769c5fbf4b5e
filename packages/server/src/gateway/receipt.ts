import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { principalKey } from '@postern/core/identity';
import type { Step } from './pipeline.ts';

/** Who has proofs of what served a request. */
export interface ReceiptDesk {
  /** The receipt as JSON, for the caller of that request or an administrator. */
  find(requestId: string, reader: string, isAdmin: boolean): Promise<Result<string, Refusal>>;
}

/** What an administrator needs to read the receipts of others. */
export const receiptOperation = 'attestation.show';
const idPattern = /^[0-9a-z]{1,64}$/;

/** `GET /v1/attestation/{request_id}`: what was verified about whoever served a request of the caller's. */
export function receiptStep(desk: ReceiptDesk | undefined, id: string): Step {
  return async ({ reply, caller, view }) => {
    if (desk === undefined || !idPattern.test(id)) {
      return refuse('not_found', 'There is no attestation of a request of this name.');
    }
    const isAdmin = view.access.mayAdminister(caller, receiptOperation);
    const found = await desk.find(id, principalKey(caller.subject), isAdmin);
    if (!found.ok) return found;
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    reply.send(200, headers, `${found.value}\n`);
    return ok(undefined);
  };
}
