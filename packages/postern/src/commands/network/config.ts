import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { resolveSettings } from '@postern/server/app';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { optionText } from '../policy-source.ts';
import { listed, misused } from './answer.ts';
import { headscaleConfig } from './headscale-config.ts';

const relays = ['embedded', 'public', 'file'] as const;

/** Prints a configuration of Headscale, or writes it. */
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
  const { text, warnings } = made.value;
  for (const warning of warnings) io.err(warning);
  const out = optionText(options, 'out');
  if (out === undefined) {
    if (io.json) io.outJson({ text, warnings: [...warnings] });
    else io.piece(text);
    return exitCodes.ok;
  }
  await mkdir(out, { recursive: true });
  const file = path.join(out, 'config.yaml');
  await writeFile(file, text, { mode: 0o640 });
  if (io.json) io.outJson({ file, warnings: [...warnings] });
  else io.out(`${file} is written. Check it: headscale -c ${file} configtest`);
  return exitCodes.ok;
};
