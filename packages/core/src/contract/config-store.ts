import { z } from 'zod';
import { secretSourceSchema } from './config-secret.ts';

export const storeSchema = z
  .strictObject({
    postgres: z
      .strictObject({
        url: secretSourceSchema.describe(
          'Where `postgresql://user:password@host/database` is kept; `?sslmode=verify-full` for TLS.',
        ),
        connections: z
          .int()
          .min(2)
          .max(50)
          .default(4)
          .describe('Connections of one gateway, besides the one that listens.'),
        leaseSeconds: z
          .int()
          .min(1)
          .max(60)
          .default(10)
          .describe(
            'How long a gateway that leads may be silent before another one leads in its place.',
          ),
      })
      .optional()
      .describe(
        'State, journal and money of all gateways. Absent: of this one, in its state folder.',
      ),
    valkey: z
      .strictObject({
        url: secretSourceSchema.describe(
          'Where `redis://:password@host:6379` is kept; `rediss://` for TLS.',
        ),
      })
      .optional()
      .describe(
        'Requests, tokens and requests at a time of all gateways, in Valkey or Redis. Absent: each gateway counts alone.',
      ),
    name: z
      .string()
      .regex(/^[\w.@:-]{1,128}$/)
      .optional()
      .describe('What other gateways and people call this one. Default: the name of the machine.'),
  })
  .refine(({ postgres, valkey }) => postgres !== undefined || valkey !== undefined, {
    error: 'a shared store needs postgres, valkey or both',
  })
  .describe('What several gateways share. A change needs a restart.');

export type StoreConfig = z.infer<typeof storeSchema>;
