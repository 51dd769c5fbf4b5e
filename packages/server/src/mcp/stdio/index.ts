/**
 * @module The Model Context Protocol over pipes: what `postern mcp` runs. The desk stays in the running Postern, behind
 * its control socket; here are the protocol and its two eras.
 *
 * Promises: nothing but protocol on standard output; the end of standard input ends it. Refuses: credentials (the
 * socket's file is the only one), and deciding anything.
 */
import type { Readable, Writable } from 'node:stream';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import type { Result } from '@postern/core/base';
import type { ToolDescription, ToolReply } from '../desk.ts';
import type { Document } from '../resources.ts';
import type { DeskRequest } from '../desk-handler.ts';
import type { DeskCounter } from '../protocol/index.ts';
import { createProtocolServer, deskSurface } from '../protocol/index.ts';

export interface StdioOptions {
  readonly version: string;
  readonly isReadOnly: boolean;
  /** Sends one request to the desk and gives its answer, or a sentence why there is none. */
  readonly send: (request: DeskRequest) => Promise<Result<unknown, string>>;
  readonly onError: (error: Error) => void;
  readonly input: Readable;
  readonly output: Writable;
}

/** How often, and how many times in a row, nothing must be under way before the end of the input counts. */
const quietMs = 20;
const quietTimes = 5;

/** Serves until the input ends and what it asked for is answered. */
export async function serveDeskOverStdio(options: StdioOptions): Promise<void> {
  let underWay = 0;
  const surface = deskSurface(
    counterOver({
      ...options,
      send: async (request) => {
        underWay += 1;
        try {
          return await options.send(request);
        } finally {
          underWay -= 1;
        }
      },
    }),
  );
  // The transport drops what is under way at the end of its input, and so gets that end only once nothing is.
  const input = new PassThrough();
  const serving = serveStdio(() => createProtocolServer(surface, options), {
    transport: new StdioServerTransport(input, options.output),
    onerror: options.onError,
  });
  for await (const piece of options.input) input.write(piece);
  for (let quiet = 0; quiet < quietTimes; quiet = underWay === 0 ? quiet + 1 : 0) {
    await sleep(quietMs);
  }
  input.end();
  await serving.close();
}

function counterOver({ send, isReadOnly }: StdioOptions): DeskCounter {
  const base = (client: string | undefined) => ({
    read_only: isReadOnly,
    ...(client === undefined ? {} : { client }),
  });
  return {
    list: async (_, client) =>
      // The desk of the same release answers: these are its own types.
      (await answered(send({ ask: 'list', ...base(client) }))) as readonly ToolDescription[],
    read: async (_, client, uri) => {
      const document = await answered(send({ ask: 'read', ...base(client), uri }));
      // As above.
      return (document ?? undefined) as Document | undefined;
    },
    call: async (_, client, { tool, args, canAsk, state, answer }) =>
      // As above.
      (await answered(
        send({
          ask: 'call',
          ...base(client),
          tool,
          args,
          can_ask: canAsk,
          ...(state === undefined ? {} : { state }),
          ...(answer === undefined ? {} : { answer }),
        }),
      )) as ToolReply,
  };
}

/** A Postern that cannot be reached is an error of the protocol, in the words that a person can act on. */
async function answered(sending: Promise<Result<unknown, string>>): Promise<unknown> {
  const result = await sending;
  if (result.ok) return result.value;
  throw new Error(result.error);
}
