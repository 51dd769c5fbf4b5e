import { z } from 'zod';

/** Tools for agents. */
export const mcpSchema = z
  .strictObject({
    readOnly: z
      .boolean()
      .default(false)
      .describe(
        'Agents get tools that look and none that change, whatever they are granted. It also holds for `postern mcp`.',
      ),
  })
  .describe('The tools that agents get: `/mcp` on the admin listener, and `postern mcp`.');
