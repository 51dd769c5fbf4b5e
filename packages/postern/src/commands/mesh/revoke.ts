import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown } from '../../output/table.ts';

const kinds = ['app', 'instance', 'device', 'serial'];
const route = '/api/v1/revocations';

export const run: Run = async ({ args, options, io }) => {
  const kind = args['kind'] ?? '';
  if (!kinds.includes(kind)) {
    io.err(`postern mesh revoke KIND ID: KIND is one of ${kinds.join(', ')}.`);
    return exitCodes.usage;
  }
  const id = plainId(kind, args['id'] ?? '');
  const client = clientFor(io);
  if (options['lift'] === true) {
    const known = await find(client, kind, id);
    if (!known.ok) {
      io.err(known.error.message);
      return known.error.exit;
    }
    if (known.value === undefined) {
      io.err(`No revocation names the ${kind} ${id}.`);
      return exitCodes.failed;
    }
    const lifted = await client.json({ method: 'DELETE', path: `${route}/${known.value}` });
    if (!lifted.ok) {
      io.err(lifted.error.message);
      return lifted.error.exit;
    }
    if (io.json) io.outJson(lifted.value);
    else io.out(`The ${kind} ${id} is no longer revoked.`);
    return exitCodes.ok;
  }
  const { reason } = options;
  const answer = await client.json({
    method: 'POST',
    path: route,
    body: {
      target: { by: 'peer', kind, id },
      ...(typeof reason === 'string' ? { reason } : {}),
    },
  });
  if (!answer.ok) {
    io.err(answer.error.message);
    return answer.error.exit;
  }
  if (io.json) io.outJson(answer.value);
  else io.out(`The ${kind} ${id} is revoked: its open connections are cut, new ones refused.`);
  return exitCodes.ok;
};

/** `00:AB:01`, `0x00ab01` and `ab01` are one serial number: tools print them in all these ways. */
function plainId(kind: string, text: string): string {
  const digits = text.toLowerCase().replaceAll(':', '').replace(/^0x/, '');
  return kind === 'serial' ? digits.replace(/^0+(?=.)/, '') : digits;
}

async function find(
  client: ReturnType<typeof clientFor>,
  kind: string,
  id: string,
): Promise<
  | { readonly ok: true; readonly value: string | undefined }
  | Extract<Awaited<ReturnType<typeof client.json>>, { readonly ok: false }>
> {
  for (let after = ''; ; ) {
    const query = after === '' ? '' : `?after=${encodeURIComponent(after)}`;
    // oxlint-disable-next-line no-await-in-loop -- one page after the other
    const page = await client.json({ method: 'GET', path: `${route}${query}` });
    if (!page.ok) return page;
    const { items, next } = isJsonObject(page.value) ? page.value : {};
    for (const one of Array.isArray(items) ? items : []) {
      if (!isJsonObject(one) || !isJsonObject(one['target'])) continue;
      const { by, kind: of, id: named } = one['target'];
      if (by === 'peer' && of === kind && named === id) {
        return { ok: true, value: shown(one['id']) };
      }
    }
    if (typeof next !== 'string') return { ok: true, value: undefined };
    after = next;
  }
}
