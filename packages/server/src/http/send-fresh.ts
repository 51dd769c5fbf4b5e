import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Egress, OutboundAnswer, OutboundRequest } from './upstream.ts';

/**
 * A kept connection may be closed by the server at the moment that a request goes out on it. No answer has begun, so
 * the request goes out once more; what fails on a connection of its own is not repeated.
 */
export function sendFresh(
  egress: Egress,
  request: OutboundRequest,
): Promise<Result<OutboundAnswer, Refusal>> {
  return egress(request).then((sent) =>
    sent.ok || !wasStale(sent.error) || request.signal.aborted ? sent : egress(request),
  );
}

/** How sockets end that the other side had closed: by its FIN, by its reset, or at our write. */
const closedCauses: ReadonlySet<unknown> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

function wasStale({ code, detail }: Refusal): boolean {
  return (
    code === 'upstream_error' &&
    detail?.['reused'] === true &&
    detail['stage'] === 'first-byte' &&
    closedCauses.has(detail['cause'])
  );
}
