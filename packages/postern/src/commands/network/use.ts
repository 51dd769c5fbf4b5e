import { readFile, rename, writeFile } from 'node:fs/promises';
import type { JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, ok } from '@postern/core/base';
import { pack, parseDocument, patch } from '@postern/core/base/hujson';
import {
  createLazyEgress,
  lookAtEngine,
  parseConfigText,
  resolveSettings,
} from '@postern/server/app';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { optionText } from '../policy-source.ts';
import { misused } from './answer.ts';

const kinds = ['embedded', 'headscale', 'tailscale'] as const;
type Kind = (typeof kinds)[number];

/** Chooses what coordinates the network, in the configuration file; asks it first whether it would work. */
export const run: Run = async ({ args, options, io }) => {
  const kind = kinds.find((each) => each === args['engine']);
  if (kind === undefined) return misused(io, `Engines are ${kinds.join(', ')}.`);
  const settings = resolveSettings(io.flags, io.env);
  const file = settings.configFile;
  if (file === undefined) {
    io.err('There is no configuration file to write it to. Make one first: postern init');
    return exitCodes.failed;
  }
  const before = await readFile(file, 'utf8');
  const after = withEngine(before, kind, optionText(options, 'url'));
  if (!after.ok) {
    io.err(after.error);
    return exitCodes.config;
  }
  const parsed = parseConfigText(after.value, file);
  if (!parsed.ok) {
    io.err(parsed.error.map(({ pointer, message }) => `${pointer}: ${message}`).join('\n'));
    return exitCodes.config;
  }
  const way = createLazyEgress();
  const looked = await lookAtEngine(parsed.value.config.engine ?? {}, {
    env: settings.env,
    egress: way.egress,
  });
  await way.close();
  if (!looked.ok) {
    io.err(looked.error);
    if (options['force'] !== true) {
      io.err('Nothing was written. --force writes it all the same.');
      return exitCodes.failed;
    }
  }
  if (after.value !== before) {
    await writeFile(`${file}.new`, after.value, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
  const words = looked.ok ? looked.value : '';
  if (io.json) io.outJson({ engine: kind, file, changed: after.value !== before, found: words });
  else {
    if (words !== '') io.out(words);
    io.out(
      after.value === before
        ? `${file} says so already.`
        : `${file} says engine.kind "${kind}" now. It counts with the next start: postern up`,
    );
    for (const line of next[kind]) io.out(line);
  }
  return exitCodes.ok;
};

const next: Readonly<Record<Kind, readonly string[]>> = {
  embedded: [],
  headscale: [
    'Its policy is left alone until you apply one here: postern policy plan, postern policy apply',
    'What it cannot do is on the page "Engines" of the reference.',
  ],
  tailscale: [
    'Its policy is left alone until you apply one here: postern network policy > policy.hujson, then postern policy plan',
  ],
};

/** Only what is asked for changes: comments and layout stay. */
function withEngine(text: string, kind: Kind, url: string | undefined): Result<string, string> {
  const parsed = parseDocument(text);
  if (!parsed.ok) return err(`The configuration cannot be read: ${parsed.error.message}`);
  const whole = parsed.value.plain.value;
  const engine = isJsonObject(whole) ? whole['engine'] : undefined;
  const now = engine !== undefined && isJsonObject(engine) ? engine : undefined;
  const operations: JsonValue[] = [];
  const set = (path: string, value: JsonValue, isThere: boolean): void => {
    operations.push({ op: isThere ? 'replace' : 'add', path, value });
  };
  if (now === undefined) set('/engine', {}, false);
  if ((now?.['kind'] ?? 'embedded') !== kind)
    set('/engine/kind', kind, now?.['kind'] !== undefined);
  if (url !== undefined && kind === 'embedded') set('/engine/url', url, now?.['url'] !== undefined);
  if (url !== undefined && kind !== 'embedded') {
    const place = now?.[kind];
    const held = place !== undefined && isJsonObject(place) ? place : undefined;
    if (held === undefined) set(`/engine/${kind}`, {}, false);
    set(`/engine/${kind}/url`, url, held?.['url'] !== undefined);
  }
  if (operations.length === 0) return ok(text);
  const patched = patch(parsed.value.root, JSON.stringify(operations));
  return patched.ok
    ? ok(Buffer.from(pack(patched.value)).toString('utf8'))
    : err(`The configuration cannot be changed: ${patched.error.message}`);
}
