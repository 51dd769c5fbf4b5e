import { unknownName } from '../observe/audit/named.ts';

/** Clients by the name that they give in `clientInfo`; one that begins with another stands before it. */
const clients: readonly string[] = [
  'Cline',
  'Cursor',
  'Visual Studio Code - Insiders',
  'Visual Studio Code',
  'Zed',
  'claude-ai',
  'claude-code',
  'codex-mcp-client',
  'cursor-vscode',
  'gemini-cli-mcp-client',
  'goose',
  'inspector-client',
  'mcp-inspector',
  'opencode',
  'windsurf-client',
];

const versionForm = /^\d{1,5}(?:\.\d{1,5}){0,3}$/;

/**
 * A client as the audit log names it: a known name, with its version where that is numbers; of any other text a digest.
 * Both are the caller's words, and may hold whatever a prompt does.
 */
export function clientName(client: string, digest: (text: string) => string): string {
  const name = clients.find((each) => client === each || client.startsWith(`${each} `));
  if (name === undefined) return unknownName(client, digest);
  return versionForm.test(client.slice(name.length + 1)) ? client : name;
}

/** A tool by its name where there is one of that name, else a digest of what was asked for. */
export function toolName(
  tool: string,
  known: ReadonlySet<string>,
  digest: (text: string) => string,
): string {
  return known.has(tool) ? tool : unknownName(tool, digest);
}
