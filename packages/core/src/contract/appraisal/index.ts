/**
 * @module The appraisal policy file: which hardware, images and apps may be talked to, as HuJSON.
 *
 * Promises: strict (a key that nobody knows is an error, because a rule that is misspelt is a rule that does not
 * hold) and closed (what is left out allows nothing). Refuses: exceptions without an end.
 */
import { z } from 'zod';
import type { SchemaIssue } from '../schema-issue.ts';
import { schemaIssues } from '../schema-issue.ts';

const hexOf = (bytes: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-fA-F]{${2 * bytes}}$`), `${bytes} bytes in hex`)
    .transform((text) => text.toLowerCase());

const hexText = z
  .string()
  .regex(/^(?:[0-9a-fA-F]{2})+$/, 'bytes in hex')
  .transform((text) => text.toLowerCase());

const platforms = ['sgx', 'tdx', 'sev-snp', 'nitro', 'azure', 'nvidia-gpu'] as const;
const listMax = 10_000;
const minuteMs = 60_000;
const dayMs = 86_400_000;

const imageSchema = z.strictObject({
  name: z.string().min(1).max(128).describe('For people and records.'),
  platform: z.enum(platforms),
  measurements: z
    .record(z.string().min(1).max(32), hexText)
    .describe(
      'Registers that must all be equal. TDX needs mrtd and rtmr0 to rtmr2, SEV-SNP measurement, Nitro pcr0 to pcr2, SGX mrenclave.',
    ),
  appId: hexText.optional().describe('For images that hold the whole app: which app it is.'),
});

const appSchema = z.strictObject({
  appId: hexText,
  composeHashes: z
    .array(hexOf(32))
    .max(listMax)
    .default([])
    .describe('Approved versions. Empty approves none, but for an app that is its image.'),
  instanceIds: z.array(hexText).max(listMax).optional().describe('Only these instances.'),
});

const allowanceSchema = z.strictObject({
  status: z.enum([
    'SWHardeningNeeded',
    'ConfigurationNeeded',
    'ConfigurationAndSWHardeningNeeded',
    'OutOfDate',
    'OutOfDateConfigurationNeeded',
  ]),
  advisories: z
    .array(z.string().regex(/^INTEL-SA-\d{5}$/))
    .max(256)
    .default([])
    .describe('Advisories that somebody looked at and accepted. Any other one refuses.'),
  until: z.iso.datetime({ offset: true }).describe('When the exception ends (RFC 3339).'),
});

const anyOr = <T extends z.ZodType>(item: T) =>
  z.union([z.literal('any'), z.array(item).max(listMax)]).default([]);

export const appraisalSchema = z
  .strictObject({
    platforms: z.array(z.enum(platforms)).max(platforms.length).default([]),
    images: z.array(imageSchema).max(listMax).default([]),
    apps: z.array(appSchema).max(listMax).default([]),
    devices: anyOr(hexOf(32)).describe('Approved machines by device id, or "any".'),
    keyProviders: anyOr(hexText).describe(
      'Approved key providers (for a KMS the SubjectPublicKeyInfo of its root), or "any".',
    ),
    tcb: z
      .array(allowanceSchema)
      .max(64)
      .default([])
      .describe('TCB statuses that are accepted besides UpToDate, each with an end.'),
    evaluationNumberMin: z.int().min(0).max(0xffff_ffff).default(0),
    firmwareMin: z
      .partialRecord(
        z.enum(['fmc', 'bootloader', 'tee', 'snp', 'microcode']),
        z.int().min(0).max(255),
      )
      .default({})
      .describe('Least firmware versions of AMD platforms.'),
    waived: z
      .array(
        z.enum([
          'migration_allowed',
          'sept_ve_enabled',
          'reserved_bits_set',
          'service_td_present',
          'vmpl_refused',
          'trailing_bytes',
        ]),
      )
      .default([])
      .describe('Findings about posture that are tolerated. Debug is never.'),
    evidenceAgeMsMax: z
      .int()
      .min(1_000)
      .max(7 * dayMs)
      .default(60 * minuteMs),
    clockSkewMsMax: z
      .int()
      .min(0)
      .max(60 * minuteMs)
      .default(5 * minuteMs),
    verdictAgeMsMax: z
      .int()
      .min(1_000)
      .max(dayMs)
      .default(60 * minuteMs),
  })
  .describe('What evidence must say to be accepted. Whatever is not listed is refused.');

export type AppraisalFile = z.infer<typeof appraisalSchema>;

/** Reads the value of a policy file. */
export function parseAppraisal(
  value: unknown,
): { readonly policy: AppraisalFile } | { readonly issues: readonly SchemaIssue[] } {
  const parsed = appraisalSchema.safeParse(value);
  if (parsed.success) return { policy: parsed.data };
  return { issues: schemaIssues(appraisalSchema, value, parsed.error) };
}
