/** Names of capabilities: `domain/path`, with the names that the service keeps for itself. */

/** Names under tailscale.com that a policy may grant. The others are made by the service itself. */
const grantable: ReadonlySet<string> = new Set([
  'tailscale.com/cap/drive',
  'tailscale.com/cap/relay',
  'tailscale.com/cap/webui',
  'tailscale.com/cap/kubernetes',
  'tailscale.com/cap/tsidp',
  'tailscale.com/cap/secrets',
  'tailscale.com/cap/aperture',
  'tailscale.com/cap/golink',
]);

/**
 * Capabilities whose holder has to be told about its clients: a reversed rule gives the sources of the grant
 * the companion, with the destinations as their peers.
 */
export const companionCapabilities: ReadonlyMap<string, string> = new Map([
  ['tailscale.com/cap/drive', 'tailscale.com/cap/drive-sharer'],
  ['tailscale.com/cap/relay', 'tailscale.com/cap/relay-target'],
]);

/** Why a policy may not grant this name, in the service's words; undefined when it may. */
export function capabilityRefusal(name: string): string | undefined {
  const slash = name.indexOf('/');
  if (name.includes('://') || slash <= 0 || slash === name.length - 1) {
    return 'capability name must have the form {domain}/{path}';
  }
  const domain = name.slice(0, slash);
  if (domain === 'tailscale.com' && !grantable.has(name)) {
    return 'capability name must not be in the tailscale.com domain';
  }
  return undefined;
}
