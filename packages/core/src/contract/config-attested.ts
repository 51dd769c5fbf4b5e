import { z } from 'zod';

export const attestedSchema = z
  .strictObject({
    app: z
      .string()
      .regex(/^[0-9a-f]{40}$/)
      .describe('The app that the upstream must be.'),
    instance: z
      .string()
      .regex(/^[0-9a-f]{1,64}$/)
      .optional()
      .describe('And the instance, where only one is meant.'),
    via: z
      .enum(['tls', 'mesh'])
      .default('tls')
      .describe(
        '`tls`: baseUrl is https, and the certificate there has the evidence. `mesh`: through the mesh of this process, which finds the app and shows our own certificate; the port is that of baseUrl.',
      ),
    appraisalFile: z
      .string()
      .min(1)
      .max(4_096)
      .optional()
      .describe('What the evidence must show. Default: mesh.trust.appraisalFile.'),
  })
  .optional()
  .describe(
    'The upstream must prove which code it runs before a byte is sent to it. Grants with requireAttested are met by such providers alone.',
  );

export type AttestedConfig = NonNullable<z.infer<typeof attestedSchema>>;
