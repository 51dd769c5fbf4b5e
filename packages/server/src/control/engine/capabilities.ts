import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { EngineCapability, EngineKind } from './ports.ts';
import { engineCapabilities } from './ports.ts';

const everywhere = [
  'policy-write',
  'policy-check',
  'app-capabilities',
  'user-keys',
  'ephemeral',
  'key-expiry',
  'rename',
  'users',
] as const satisfies readonly EngineCapability[];

/** Columns of the table of differences. Headscale changed its API with 0.30. */
export type EngineEdition = 'embedded' | 'headscale-v1' | 'headscale-v2' | 'tailscale';

/** What each engine can do, as data: the page on engines is made from it, and refusals name it. */
export const capabilitiesOf: Readonly<Record<EngineEdition, ReadonlySet<EngineCapability>>> =
  Object.freeze({
    embedded: new Set<EngineCapability>([
      ...everywhere,
      'approval',
      'policy-etag',
      'policy-preview',
      'posture',
      'dns-read',
      'dns-write',
      'service-names',
      'roles',
      'settings',
      'oauth-clients',
      'serve-https',
      'audit-log',
    ]),
    'headscale-v1': new Set<EngineCapability>(everywhere),
    'headscale-v2': new Set<EngineCapability>([
      ...everywhere,
      'policy-etag',
      'settings',
      'oauth-clients',
    ]),
    tailscale: new Set<EngineCapability>([
      ...everywhere.filter((each) => each !== 'user-keys'),
      'approval',
      'policy-etag',
      'policy-preview',
      'posture',
      'dns-read',
      'dns-write',
      'roles',
      'settings',
      'settings-write',
      'oauth-clients',
      'serve-https',
      'funnel',
      'audit-log',
      'webhooks',
    ]),
  });

const names: Readonly<Record<EngineKind, string>> = {
  embedded: 'The embedded engine',
  headscale: 'Headscale',
  tailscale: 'Tailscale',
};

/** The refusal of what an engine cannot do. `instead`: where it is done. */
export function cannot(
  kind: EngineKind,
  what: EngineCapability,
  instead?: string,
): Result<never, Refusal> {
  const rest = instead === undefined ? '' : ` ${instead}`;
  return refuse(
    'conflict',
    `${names[kind]} cannot do this here: ${engineCapabilities[what]}.${rest}`,
    { param: what },
  );
}
