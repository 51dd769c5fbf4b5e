import type { CacheHint } from '@modelcontextprotocol/server';
import { Server } from '@modelcontextprotocol/server';
import type { Surface } from './surface.ts';

/** Who we say that we are. */
export interface Named {
  readonly version: string;
}

/** Lists depend on who asks, so nobody may share one; a minute is how long a grant that was taken away is still shown. */
const listed: CacheHint = { ttlMs: 60_000, cacheScope: 'private' };
const read: CacheHint = { ttlMs: 0, cacheScope: 'private' };

const cacheHints = {
  'server/discover': listed,
  'tools/list': listed,
  'prompts/list': listed,
  'resources/list': listed,
  'resources/templates/list': listed,
  'resources/read': read,
} as const;

/** One server of the protocol over a surface: for one request, one session, or one process that speaks over pipes. */
export function createProtocolServer(surface: Surface, { version }: Named): Server {
  const server = new Server(
    { name: 'postern', title: 'Postern', version },
    { capabilities: surface.capabilities, instructions: surface.instructions, cacheHints },
  );
  server.setRequestHandler('tools/list', (_, context) => surface.listTools({ context, server }));
  server.setRequestHandler('tools/call', ({ params }, context) =>
    surface.callTool(params, { context, server }),
  );
  server.setRequestHandler('resources/list', (_, context) =>
    surface.listResources({ context, server }),
  );
  server.setRequestHandler('resources/templates/list', (_, context) =>
    surface.listTemplates({ context, server }),
  );
  server.setRequestHandler('resources/read', ({ params }, context) =>
    surface.readResource(params.uri, { context, server }),
  );
  server.setRequestHandler('prompts/list', (_, context) =>
    surface.listPrompts({ context, server }),
  );
  server.setRequestHandler('prompts/get', ({ params }, context) =>
    surface.getPrompt(params, { context, server }),
  );
  const { complete, watch } = surface;
  if (watch !== undefined) {
    server.setRequestHandler('resources/subscribe', ({ params }, context) => {
      watch(params.uri, true, { context, server });
      return {};
    });
    server.setRequestHandler('resources/unsubscribe', ({ params }, context) => {
      watch(params.uri, false, { context, server });
      return {};
    });
  }
  if (complete !== undefined) {
    server.setRequestHandler('completion/complete', ({ params }, context) =>
      complete(params, { context, server }),
    );
  }
  return server;
}
