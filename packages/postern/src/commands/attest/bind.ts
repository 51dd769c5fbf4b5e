import { attestedBind } from '@postern/server/app/mesh';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { attestedCall } from './joining-options.ts';

export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const call = attestedCall(invocation);
  const key = options['nodeKey'];
  if (call === undefined || typeof key !== 'string') {
    io.err('--server takes the URL of a control listener, --node-key the key of this node.');
    return exitCodes.usage;
  }
  const bound = await attestedBind(call, key);
  if (!bound.ok) {
    io.err(bound.error);
    return exitCodes.failed;
  }
  if (io.json) io.outJson(bound.value);
  else io.out(`bound: node ${bound.value.node} is in the network`);
  return exitCodes.ok;
};
