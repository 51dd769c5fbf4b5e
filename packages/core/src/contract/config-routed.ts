import { parseAddr, parsePrefix } from '@postern/core/base/netip';
import { z } from 'zod';

function isRouter(text: string): boolean {
  return (
    parseAddr(text).ok || parsePrefix(text).ok || /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(text)
  );
}

export const routedSchema = z
  .strictObject({
    from: z
      .string()
      .min(1)
      .max(64)
      .refine(isRouter, 'needs an address, a prefix or the name of an interface')
      .describe(
        'The router’s address or interface: all that a firewall may let reach this listener. `postern network plan` prints the rules.',
      ),
    address: z
      .string()
      .regex(/^(?:(?:\[[0-9a-fA-F:.]+\]|[^:\s]*):)?\d{1,5}$/)
      .describe('Where it listens, such as 10.0.2.10:8080.'),
    hosts: z
      .array(z.string().min(1))
      .max(64)
      .default([])
      .describe('Further names by which callers know it.'),
  })
  .describe(
    'Callers behind a subnet router that leaves their addresses as they are (SNAT off, and a return route): known by the API of the engine.',
  );
