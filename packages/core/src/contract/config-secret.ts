import { z } from 'zod';

/** Where a secret is kept. The text itself never stands in the file. */
export const secretSourceSchema = z
  .union([
    z.strictObject({
      env: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
        .describe('Name of an environment variable.'),
    }),
    z.strictObject({
      file: z
        .string()
        .min(1)
        .describe('Path of a file; a trailing newline is dropped; read again when it changes.'),
    }),
    z.strictObject({
      credential: z
        .string()
        .regex(/^[A-Za-z0-9_.-]+$/)
        .describe('Name of a systemd credential (LoadCredential=).'),
    }),
    z.strictObject({
      awsSecret: z
        .string()
        .min(1)
        .max(2_048)
        .describe('Name or ARN in AWS Secrets Manager; read with the role of the machine.'),
      field: z.string().min(1).max(256).optional().describe('The field of a JSON secret.'),
      region: z
        .string()
        .regex(/^[a-z0-9-]{1,32}$/)
        .optional()
        .describe('Default: AWS_REGION.'),
    }),
    z.strictObject({
      awsParameter: z
        .string()
        .min(1)
        .max(2_048)
        .describe('Name of a parameter in AWS Systems Manager; decrypted.'),
      region: z
        .string()
        .regex(/^[a-z0-9-]{1,32}$/)
        .optional()
        .describe('Default: AWS_REGION.'),
    }),
  ])
  .describe(
    'Where a secret is kept: {"env": …}, {"file": …}, {"credential": …}, {"awsSecret": …} or {"awsParameter": …}.',
  );

export type SecretSource = z.infer<typeof secretSourceSchema>;
