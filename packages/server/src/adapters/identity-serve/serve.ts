import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import { formatAddr, parseAddr, unmap } from '@postern/core/base/netip';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { readServeHeaders, taggedDevicesLogin, tailnetUser } from '@postern/core/identity';
import type { ServeHeaders } from '@postern/core/identity';
import type { ServeAuthenticator, ServeIdentity, Whois } from '../../gateway/identity-ports.ts';

/**
 * Believes the headers of `tailscale serve`, for the serve socket alone. A tagged caller has no login: it is looked up
 * by its address, the one `X-Forwarded-For`. Without `whois` tagged callers stay unknown. A header that serve would
 * never write is 400: somebody else reaches the socket.
 */
export function createServeAuthenticator(whois: Whois | undefined): ServeAuthenticator {
  return async (request) => {
    const read = readServeHeaders((name) => request.headers.get(name));
    if (!read.ok) return refuse('malformed_http', read.error);
    const headers = read.value;
    if (headers.isFunnel) return ok({ kind: 'funnel' });
    const { login, name, capabilities } = headers;
    if (login !== undefined && login !== taggedDevicesLogin) {
      const identity = {
        principal: tailnetUser(login, name),
        ...(capabilities === undefined ? {} : { capabilities }),
      };
      return ok({ kind: 'known', identity });
    }
    return whois === undefined ? ok({ kind: 'unknown' }) : byAddress(headers, whois);
  };
}

async function byAddress(
  headers: ServeHeaders,
  whois: Whois,
): Promise<Result<ServeIdentity, Refusal>> {
  if (headers.forwardedFor === undefined) return ok({ kind: 'unknown' });
  const address = parseAddr(headers.forwardedFor.trim());
  if (!address.ok || address.value.zone !== '')
    return refuse('malformed_http', 'X-Forwarded-For is not exactly one IP address.');
  const found = await whois(formatAddr(unmap(address.value)));
  if (!found.ok) return found;
  // Without a login serve says that nobody owns the caller: a user here would be an answer about somebody else.
  if (found.value?.principal.kind !== 'node') return ok({ kind: 'unknown' });
  const capabilities = headers.capabilities ?? found.value.capabilities;
  return ok({
    kind: 'known',
    identity: {
      principal: found.value.principal,
      ...(capabilities === undefined ? {} : { capabilities }),
    },
  });
}
