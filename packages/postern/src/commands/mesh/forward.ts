import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown } from '../../output/table.ts';

const targetPattern = /^([0-9a-fA-F]{40})(?:\/([0-9a-fA-F]{1,64}))?:([1-9][0-9]{0,4})$/;

export const run: Run = async ({ args, io }) => {
  const listen = args['listen'] ?? '';
  const target = targetPattern.exec(args['target'] ?? '');
  const [, app, instance, port] = target ?? [];
  if (!/^[0-9]{1,5}$/.test(listen) || Number(listen) > 65_535 || app === undefined) {
    io.err('postern mesh forward LISTEN APP:PORT: a local port, then 40 hex digits and a port.');
    return exitCodes.usage;
  }
  const body = {
    listen: Number(listen),
    app,
    port: Number(port),
    ...(instance === undefined ? {} : { instance }),
  };
  const client = clientFor(io);
  const answer = await client.json({ method: 'POST', path: '/api/v1/mesh/forwards', body });
  if (!answer.ok) {
    io.err(answer.error.message);
    return answer.error.exit;
  }
  if (io.json) io.outJson(answer.value);
  else {
    const address = isJsonObject(answer.value) ? shown(answer.value['address']) : '';
    io.out(`${address} leads to ${args['target'] ?? ''} until Postern ends.`);
  }
  return exitCodes.ok;
};
