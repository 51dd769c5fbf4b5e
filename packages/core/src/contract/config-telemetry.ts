import { z } from 'zod';
import { secretSourceSchema } from './config-secret.ts';

const addressSchema = z.url({ protocol: /^https?$/ }).max(2_048);

const tracesSchema = z
  .strictObject({
    endpoint: addressSchema.describe(
      'Where spans go by OTLP over HTTP, as JSON: `http://127.0.0.1:4318/v1/traces`. Writing it down is the permission to dial it.',
    ),
    headers: z
      .record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/), secretSourceSchema)
      .default({})
      .describe('Headers that the collector wants, each from where its secret is kept.'),
    sample: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe('The part of requests that is traced: 0.1 is one of ten, drawn by Postern.'),
    propagate: z
      .boolean()
      .default(false)
      .describe('Send `traceparent` on to model servers, so that their spans join the trace.'),
  })
  .describe('Traces of requests. Never prompts or answers.');

export const telemetrySchema = z
  .strictObject({
    openMetrics: z
      .boolean()
      .default(false)
      .describe(
        'Give `/metrics` of the admin listener to every program on this machine. Otherwise a scraper needs `metrics.read` of `postern.dev/cap/admin`.',
      ),
    traces: tracesSchema.optional(),
  })
  .describe('What Postern tells about itself beside its log.');

export type TelemetryConfig = z.infer<typeof telemetrySchema>;
export type TracesConfig = z.infer<typeof tracesSchema>;

const webhookSchema = z.strictObject({
  url: addressSchema.describe('Gets a POST. Writing it down is the permission to dial it.'),
  secret: secretSourceSchema.describe(
    'Signs every delivery: `postern-signature` is an HMAC-SHA256 of time and body.',
  ),
});

export const alertsSchema = z
  .strictObject({
    webhooks: z.array(webhookSchema).max(8).default([]).describe('Who is told. None: nobody.'),
    budgetPercent: z
      .int()
      .min(1)
      .max(100)
      .default(80)
      .describe('An account of a budget has used this much.'),
    certificateDays: z
      .int()
      .min(1)
      .max(365)
      .default(14)
      .describe('A certificate that a listener shows ends within so many days.'),
    nodeKeyDays: z
      .int()
      .min(1)
      .max(365)
      .default(7)
      .describe('The key of a machine ends within so many days.'),
    backupHours: z
      .int()
      .min(1)
      .max(8_760)
      .default(48)
      .describe('The last backup is older; without one, Postern runs longer than that.'),
    collateralDays: z
      .int()
      .min(1)
      .max(365)
      .default(30)
      .describe('Stored attestation collateral was not renewed for so many days.'),
    repeatHours: z
      .int()
      .min(1)
      .max(8_760)
      .default(24)
      .describe('An alert that goes on is told again after so long.'),
  })
  .describe('Webhooks for conditions that somebody has to look at.');

export type AlertsConfig = z.infer<typeof alertsSchema>;
