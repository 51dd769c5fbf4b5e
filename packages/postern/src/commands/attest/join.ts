import { hostname } from 'node:os';
import { shownKey } from '@postern/server/adapters/attested-join';
import { attestedKey } from '@postern/server/app/mesh';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { attestedCall } from './joining-options.ts';

export const run: Run = async (invocation) => {
  const { io, options } = invocation;
  const call = attestedCall(invocation);
  if (call === undefined) {
    io.err('--server takes the URL of a control listener, such as http://gateway:8000.');
    return exitCodes.usage;
  }
  const name = typeof options['name'] === 'string' ? options['name'] : hostname();
  const invited = await attestedKey(call, name.toLowerCase());
  if (!invited.ok) {
    io.err(invited.error);
    return exitCodes.failed;
  }
  const { serverUrl, app } = invited.value;
  const key = shownKey(invited.value);
  if (io.json) io.outJson({ pre_auth_key: key, server_url: serverUrl, app_id: app });
  else {
    io.out(key);
    io.err(`For --login-server ${serverUrl}. The node waits until: postern attest bind`);
  }
  return exitCodes.ok;
};
