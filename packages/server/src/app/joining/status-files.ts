import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Secret } from '@postern/core/base';
import type { LocalNode } from '../../adapters/identity-serve/index.ts';
import { writeSecretFile } from '../../adapters/registry-client/index.ts';
import { writeWhole } from './steps.ts';

export interface NodeStatus {
  readonly node: LocalNode;
  readonly serverUrl: string | undefined;
  /** What `tailscale status --json` prints. */
  readonly status: string | undefined;
  readonly sharedKey: Secret | undefined;
}

const names = {
  status: 'tailscale_status.json',
  hostname: 'actual_hostname',
  address: 'tailscale_ip',
  server: 'server_url',
  key: 'shared_key',
} as const;

/**
 * The files by which programs of this machine learn what it is on the network, with the names and the contents that
 * DStack VPC gave them. Its pre-auth key is not among them: it was used, and admits nobody. Gives what went wrong.
 */
export async function writeStatus(
  folder: string,
  { node, serverUrl, status, sharedKey }: NodeStatus,
): Promise<string | undefined> {
  try {
    const put = (name: string, text: string): Promise<void> =>
      writeWhole(path.join(folder, name), text);
    if (status !== undefined) await put(names.status, status);
    await put(names.hostname, `${node.name}\n`);
    await put(names.address, `${node.addresses.find((each) => !each.includes(':')) ?? ''}\n`);
    if (serverUrl !== undefined) await put(names.server, `${serverUrl}\n`);
    if (sharedKey !== undefined) {
      await writeSecretFile(path.join(folder, names.key), sharedKey, writeWhole);
    }
    return undefined;
  } catch (cause) {
    return `${folder} cannot be written: ${String(cause)}`;
  }
}

export async function removeStatus(folder: string | undefined): Promise<void> {
  if (folder === undefined) return;
  for (const name of Object.values(names)) await rm(path.join(folder, name), { force: true });
}
