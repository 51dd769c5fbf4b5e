/**
 * Judges PowerShell that opens a Windows machine to SSH: what may be tried on a Mac or a Linux machine, where no PowerShell is. It reads the
 * text; what the text does is tried by nobody here.
 * @module
 */
export interface WindowsRule {
  readonly name: string;
  readonly why: string;
  /** A sentence where the text breaks it. */
  check(text: string): string | undefined;
}

export const windowsRules: readonly WindowsRule[] = [
  {
    name: 'no-key-in-the-text',
    why: 'A script with somebody’s key in it authorises that person wherever it is pasted.',
    check: (text) =>
      /ssh-(?:ed25519|rsa) AAAA[A-Za-z0-9+/]{20,}/u.test(text)
        ? 'a key stands in the text'
        : undefined,
  },
  {
    name: 'access-list-inherits-nothing',
    why: 'sshd ignores administrators_authorized_keys when anybody but SYSTEM and Administrators may touch it; inherited rules let others in.',
    check: (text) =>
      text.includes('administrators_authorized_keys') &&
      !/SetAccessRuleProtection\(\$true, *\$false\)|icacls[^\n]*\/inheritance:r/u.test(text)
        ? 'the file keeps the access rules that it inherits'
        : undefined,
  },
  {
    name: 'groups-by-id',
    why: 'Names of groups differ by the language of Windows; their ids do not.',
    check: (text) =>
      /["'](?:NT AUTHORITY\\SYSTEM|BUILTIN\\Administrators)["']/u.test(text)
        ? 'it names groups in English'
        : undefined,
  },
  {
    name: 'key-once',
    why: 'A script that appends authorises again with each run, and joins two keys where the file has no last line end.',
    check: (text) =>
      /Add-Content[^\n]*authorized_keys/u.test(text)
        ? 'it appends the key with each run'
        : undefined,
  },
  {
    name: 'firewall-names-who',
    why: 'A rule without remote addresses lets every network in.',
    check: (text) =>
      text.includes('New-NetFirewallRule') && !text.includes('-RemoteAddress')
        ? 'the firewall rule lets everybody in'
        : undefined,
  },
  {
    name: 'no-passwords',
    why: 'The server takes passwords unless it is told not to.',
    check: (text) =>
      text.includes('sshd') && !/PasswordAuthentication\s*=?\s*['"]?no\b/u.test(text)
        ? 'passwords stay on'
        : undefined,
  },
  {
    name: 'no-tailscale-ssh-server',
    why: 'Tailscale SSH has no server on Windows: the command fails, and nobody can get in by it.',
    check: (text) =>
      /tailscale (?:set|up) [^\n]*--ssh/u.test(text)
        ? 'it asks for a server that does not exist on Windows'
        : undefined,
  },
];
