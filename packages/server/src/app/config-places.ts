import type { Config, SchemaIssue } from '@postern/core/contract';
import { parsePrefixOrAddr } from '@postern/core/base/netip';
import { parseAddress } from './addresses.ts';

/** What the schema lets through and a start would stumble over: addresses and prefixes that are none. */
export function placeIssues(config: Config): readonly SchemaIssue[] {
  const { listeners, publicEdge } = config;
  const addresses = [
    ['/listeners/gateway/address', listeners.gateway.address],
    ['/listeners/admin/address', listeners.admin.address],
    ['/publicEdge/address', publicEdge?.address],
  ] as const;
  return [
    ...addresses.flatMap(([pointer, text]) => {
      const parsed = text === undefined ? undefined : parseAddress(text);
      return parsed === undefined || parsed.ok ? [] : [{ pointer, message: parsed.error }];
    }),
    ...config.trustedProxies.flatMap((text, at) =>
      parsePrefixOrAddr(text).ok
        ? []
        : [{ pointer: `/trustedProxies/${at}`, message: `"${text}" is no address and no prefix` }],
    ),
  ];
}
