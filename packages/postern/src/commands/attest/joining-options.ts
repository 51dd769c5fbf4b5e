import type { AttestedCall } from '@postern/server/app/mesh';
import type { Invocation } from '../../command.ts';

/** How long a machine may take for its evidence, and the server for its judgement. */
const callMsMax = 60_000;

/** Where evidence goes and who makes it; undefined where no server is named. */
export function attestedCall({ options, io }: Invocation): AttestedCall | undefined {
  const { server, agent } = options;
  if (typeof server !== 'string' || !URL.canParse(server)) return undefined;
  const url = new URL(server);
  if (!/^https?:$/.test(url.protocol)) return undefined;
  return {
    server: url,
    env: io.env,
    agent: typeof agent === 'string' ? agent : undefined,
    signal: AbortSignal.timeout(callMsMax),
  };
}
