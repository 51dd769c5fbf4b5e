import { z } from 'zod';
import { secretSourceSchema } from './config-secret.ts';

/** How an operator acts on a model server in an incident: by systemd, by a call, or by a program. */

const unitSchema = z
  .string()
  .regex(/^[A-Za-z0-9:_.@\\-]{1,250}\.service$/)
  .describe('A unit of the system manager of this machine, such as vllm.service.');

const programSchema = z
  .array(z.string().min(1).max(4_096))
  .min(1)
  .max(64)
  .describe('A program and its arguments; no shell. Exit code 0 means that it is done.');

const callSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).max(2_048),
  method: z.enum(['POST', 'PUT']).default('POST'),
  bearer: secretSourceSchema.optional().describe('Token of the Authorization header.'),
});

const restartSchema = z
  .union([
    z.strictObject({ systemd: unitSchema }),
    z.strictObject({
      http: callSchema
        .extend({
          statusUrl: z
            .url({ protocol: /^https?$/ })
            .max(2_048)
            .describe('Answers JSON with `started_at`, which changes with every start.'),
        })
        .describe('A call to whatever runs the server: a hypervisor, an orchestrator.'),
    }),
    z.strictObject({
      command: programSchema,
      status: programSchema.describe(
        'Prints on one line what changes with every start, such as the process id and its start time.',
      ),
    }),
  ])
  .describe('How the process of this model server is started anew.');

const rotateSchema = z
  .union([
    z.strictObject({
      systemd: unitSchema,
      credentialFile: z
        .string()
        .min(1)
        .max(4_096)
        .describe('Where the unit reads its key (LoadCredential=); it is started anew after.'),
    }),
    z.strictObject({
      http: callSchema.describe('Gets {"key": "…"} with the new key.'),
    }),
    z.strictObject({ command: programSchema.describe('Gets the new key on its standard input.') }),
  ])
  .describe(
    'How this model server gets a new key. `key` of the provider must be a file: it gets it, too.',
  );

export const operateSchema = z
  .strictObject({ restart: restartSchema.optional(), rotate: rotateSchema.optional() })
  .describe('What `postern incident` may do to this model server.');

export type RestartBy = z.infer<typeof restartSchema>;
export type RotateBy = z.infer<typeof rotateSchema>;
