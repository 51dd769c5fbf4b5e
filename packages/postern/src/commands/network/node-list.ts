import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { allOf, object, objects, refused } from './answer.ts';
import { nodeTable, waitingTable } from './node-words.ts';

export const run: Run = async ({ options, io }) => {
  const client = clientFor(io);
  const listed = await allOf(client, '/api/v1/nodes');
  if (!listed.ok) return refused(io, listed.error);
  const nodes = listed.value.filter(
    (node) =>
      (options['waiting'] !== true || node['approved'] === false) &&
      (options['online'] !== true || node['online'] === true),
  );
  const status = await client.json({ method: 'GET', path: '/api/v1/network' });
  if (!status.ok) return refused(io, status.error);
  const { waiting_for_sign_in: asking, running } = object(status.value);
  const waiting = options['online'] === true ? [] : objects(asking);
  if (io.json) {
    // One shape whatever is asked for; those at their sign-in page are no machines of the network yet.
    io.outJson({ nodes, waiting });
    return exitCodes.ok;
  }
  const parts = [
    ...(nodes.length === 0 ? [] : [nodeTable(nodes)]),
    ...(waiting.length === 0 ? [] : [waitingTable(waiting)]),
  ];
  if (parts.length > 0) io.out(parts.join('\n\n'));
  else if (running === false) io.out('There is no network. Start one: postern up --url URL');
  else if (options['waiting'] === true) io.out('Nothing waits.');
  else io.out('No machine has joined. Make a key for one: postern network key create --user LOGIN');
  return exitCodes.ok;
};
