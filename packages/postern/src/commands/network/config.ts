import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { resolveSettings } from '@postern/server/app';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { optionText } from '../policy-source.ts';
import { listed, misused } from './answer.ts';
import { headscaleConfig } from './headscale-config.ts';

const relays = ['embedded', 'public', 'none'] as const;

/** Prints a configuration of Headscale, or writes it with what lies beside it. */
export const run: Run = async ({ args, options, io }) => {
  if (args['engine'] !== 'headscale') {
    return misused(
      io,
      'Only Headscale has a configuration file to write: network config headscale',
    );
  }
  const relay = optionText(options, 'relay');
  const known = relays.find((each) => each === relay);
  if (relay !== undefined && known === undefined) {
    return misused(io, `--relay: ${relays.join(', ')}`);
  }
  const { env } = resolveSettings(io.flags, io.env);
  const url = optionText(options, 'url') ?? env['HEADSCALE_URL'];
  if (url === undefined || url === '') return misused(io, 'Say where it will be found: --url URL');
  const certificate = optionText(options, 'cert');
  const key = optionText(options, 'key');
  const made = headscaleConfig({
    url,
    listen: optionText(options, 'listen'),
    baseDomain: optionText(options, 'baseDomain'),
    ipv4: optionText(options, 'ipv4'),
    ipv6: optionText(options, 'ipv6'),
    folder: optionText(options, 'folder'),
    relay: known,
    nameservers: listed(options['nameservers']),
    tls: certificate === undefined || key === undefined ? undefined : { certificate, key },
  });
  if (!made.ok) return misused(io, made.error);
  const { text, files, warnings } = made.value;
  for (const warning of warnings) io.err(warning);
  const out = optionText(options, 'out');
  if (out === undefined) {
    if (io.json) io.outJson({ text, files, warnings: [...warnings] });
    else io.piece(text);
    for (const [name, content] of Object.entries(files)) {
      if (!io.json) io.err(`Beside it, as ${name}:\n${content}`);
    }
    return exitCodes.ok;
  }
  await mkdir(out, { recursive: true });
  const all = { 'config.yaml': text, ...files };
  for (const [name, content] of Object.entries(all)) {
    await writeFile(path.join(out, name), content, { mode: 0o640 });
  }
  const names = Object.keys(all).map((name) => path.join(out, name));
  if (io.json) io.outJson({ files: names, warnings: [...warnings] });
  else io.out(`${names.join(', ')} written. Check it: headscale -c ${names[0] ?? ''} configtest`);
  return exitCodes.ok;
};
