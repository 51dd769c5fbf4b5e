import { isJsonObject } from '@postern/core/base';
import type { JsonValue } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { shown } from '../output/table.ts';
import { exitCodes } from '../command.ts';
import { parseWhen } from '../output/when.ts';
import { listed } from './network/answer.ts';

export const run: Run = async ({ args, options, io }) => {
  const expires =
    typeof options['expires'] === 'string' ? parseWhen(options['expires'], Date.now()) : undefined;
  if (expires !== undefined && !expires.ok) {
    io.err(`--expires: ${expires.error}`);
    return exitCodes.usage;
  }
  const join = listed(options['join']);
  const models = listed(options['models']);
  const body: Record<string, JsonValue> = {
    name: args['name'] ?? '',
    scope: {
      ...(models === undefined ? {} : { models }),
      ...(join === undefined ? {} : { join }),
      ...(options['admin'] === true ? { admin: true } : {}),
    },
    ...(expires === undefined ? {} : { expires_at: new Date(expires.value).toISOString() }),
    ...(listed(options['bind']) === undefined ? {} : { bound_to: listed(options['bind']) ?? [] }),
  };
  const made = await clientFor(io).json({ method: 'POST', path: '/api/v1/keys', body });
  if (!made.ok) {
    io.err(made.error.message);
    return made.error.exit;
  }
  const created = isJsonObject(made.value) ? made.value : {};
  if (io.json) io.outJson(created);
  else {
    io.out(shown(created['secret']));
    io.err(
      'This is the only time that the key is shown. Send it as "Authorization: Bearer …" or as an API key.',
    );
  }
  return exitCodes.ok;
};
