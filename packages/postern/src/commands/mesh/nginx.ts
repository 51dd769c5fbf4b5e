import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { meshNginxFiles } from '@postern/server/app/mesh';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';

export const run: Run = async ({ options, io }) => {
  const text = (name: string, otherwise: string): string => {
    const value = options[name];
    return typeof value === 'string' ? value : otherwise;
  };
  const files = meshNginxFiles({
    outbound: text('outbound', '127.0.0.1:8091'),
    auth: text('auth', '127.0.0.1:8092'),
    backend: text('backend', '127.0.0.1:8000'),
    listenPlain: text('listen', '127.0.0.1:80'),
    listenTls: text('listenTls', '443'),
    port: 443,
    certificateFile: path.resolve(text('certificate', '/etc/ssl/certs/server.crt')),
    keyFile: path.resolve(text('key', '/etc/ssl/private/server.key')),
    rootsFile: path.resolve(text('roots', '/etc/ssl/certs/ca.crt')),
  });
  if (!files.ok) {
    io.err(files.error);
    return exitCodes.usage;
  }
  const { out } = options;
  if (io.json) io.outJson(files.value);
  else if (typeof out !== 'string') io.out(Object.values(files.value).join('\n'));
  if (typeof out !== 'string') return exitCodes.ok;
  await mkdir(out, { recursive: true });
  for (const [name, content] of Object.entries(files.value)) {
    // oxlint-disable-next-line no-await-in-loop -- two files, in order
    await writeFile(path.join(out, name), content);
    io.err(`wrote ${path.join(out, name)}`);
  }
  return exitCodes.ok;
};
