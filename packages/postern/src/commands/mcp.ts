import process from 'node:process';
import { err, isJsonObject, ok } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { version } from '../version.ts';

/** Asks for nothing until the first message comes, so that a client of it starts even before Postern does. */
export const run: Run = async ({ options, io }) => {
  if (io.isInteractive) {
    io.err(
      'This speaks the Model Context Protocol on standard input and output: a client starts it, such as `claude mcp add postern -- postern mcp`.',
    );
    return exitCodes.usage;
  }
  const { serveDeskOverStdio } = await import('@postern/server/mcp/stdio');
  const client = clientFor(io);
  await serveDeskOverStdio({
    input: process.stdin,
    output: process.stdout,
    version: version(),
    isReadOnly: options['readOnly'] === true,
    send: async (body) => {
      const answer = await client.json({
        method: 'POST',
        path: '/mcp/desk',
        // Made of JSON that the client sent, and of texts.
        body: structuredClone(body) as Parameters<typeof client.json>[0]['body'] & object,
      });
      if (!answer.ok) return err(answer.error.message);
      return ok(isJsonObject(answer.value) ? answer.value['answer'] : undefined);
    },
    onError: (error) => io.err(error.message),
  });
  return exitCodes.ok;
};
