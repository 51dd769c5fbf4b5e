import type { JsonObject, JsonValue } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Invocation, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { table } from '../../output/table.ts';
import { ago, parseWhen } from '../../output/when.ts';
import { allOf, answered, listed, misused, object, refused, text } from './answer.ts';
import { ownerOf } from './node-words.ts';
import { qrCode } from './qr.ts';

const path = '/api/v1/network/keys';

export const create: Run = async ({ options, io }) => {
  const request = requestOf(options, Date.now());
  if (typeof request === 'string') return misused(io, request);
  const made = await clientFor(io).json({ method: 'POST', path, body: request });
  if (!made.ok) return refused(io, made.error);
  const created = object(made.value);
  if (io.json) {
    io.outJson(created);
    return exitCodes.ok;
  }
  const secret = text(created['secret']);
  const command = text(created['command']);
  io.out(secret);
  if (options['qr'] === true) io.out(`\n${await qrCode(secret)}`);
  io.err(
    [
      'This is the only time that the key is shown.',
      command === ''
        ? 'The network is off. Start it: postern up --url URL'
        : `On the machine that joins:\n  ${command}`,
      ...(options['qr'] === true
        ? ['On a phone: set this server first (postern network url), then "Use an auth key".']
        : []),
    ].join('\n'),
  );
  return exitCodes.ok;
};

/** The body of the request, or what is wrong with the options. */
function requestOf(options: Invocation['options'], nowMs: number): JsonObject | string {
  const { user, expires, description } = options;
  const tags = listed(options['tags']);
  if ((typeof user === 'string') === (tags !== undefined && tags.length > 0)) {
    return 'Say whose machines join by it: --user alice@example.com, or --tags tag:ci.';
  }
  const body: Record<string, JsonValue> = {
    ...(typeof user === 'string' ? { user } : {}),
    ...(tags === undefined ? {} : { tags: [...tags] }),
    reusable: options['reusable'] === true,
    ephemeral: options['ephemeral'] === true,
    pre_approved: options['needsApproval'] !== true,
    ...(typeof description === 'string' ? { description } : {}),
  };
  if (typeof expires !== 'string') return body;
  const until = parseWhen(expires, nowMs);
  if (!until.ok) return `--expires: ${until.error}`;
  body['lifetime_seconds'] = Math.max(1, Math.round((until.value - nowMs) / 1_000));
  return body;
}

export const list: Run = async ({ options, io }) => {
  const all = await allOf(clientFor(io), path);
  if (!all.ok) return refused(io, all.error);
  const keys =
    options['all'] === true ? all.value : all.value.filter((key) => key['standing'] === 'active');
  if (io.json) io.outJson(keys);
  else if (keys.length > 0) io.out(keyTable(keys));
  else io.out('There are no keys that count. Make one: postern network key create --user LOGIN');
  return exitCodes.ok;
};

export const revoke: Run = (invocation) => {
  const key = invocation.args['key'] ?? '';
  const call = { method: 'POST', path: `${path}/${encodeURIComponent(key)}/revoke` } as const;
  return answered(
    invocation,
    call,
    ({ id }) => `Revoked: ${text(id)}. Nobody joins by it any more; who did stays.`,
  );
};

function keyTable(keys: readonly JsonObject[]): string {
  const nowMs = Date.now();
  return table(
    ['id', 'key', 'for', 'kind', 'made', 'ends', 'state', 'description'],
    keys.map((key) => [
      text(key['id']),
      `…${text(key['hint'])}`,
      ownerOf(key),
      kindOf(key),
      ago(text(key['created_at']), nowMs),
      ago(text(key['expires_at']), nowMs),
      text(key['standing']),
      text(key['description']) || '-',
    ]),
  );
}

function kindOf(key: JsonObject): string {
  return [
    key['reusable'] === true ? 'reusable' : 'once',
    ...(key['ephemeral'] === true ? ['ephemeral'] : []),
    ...(key['pre_approved'] === false ? ['needs approval'] : []),
  ].join(', ');
}
