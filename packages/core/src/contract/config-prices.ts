import { z } from 'zod';

/** Everything that a provider bills apart; `core/price` has the same list. */
export const billedClasses = [
  'input',
  'inputAudio',
  'inputImage',
  'inputVideo',
  'cacheRead',
  'cacheReadAudio',
  'cacheReadImage',
  'cacheWrite',
  'cacheWriteHour',
  'output',
  'outputAudio',
  'outputImage',
  'outputVideo',
  'reasoning',
  'webSearches',
  'storageSearches',
  'imageCalls',
  'codeSessions',
] as const;

/** Prices of one configuration, and the length of a pattern. */
const pricesMax = 1_000;
const patternCharsMax = 512;

const usdSchema = z
  .union([z.string(), z.number()])
  .refine((usd) => /^\d{1,6}(?:\.\d{1,9})?$/.test(String(usd)), {
    error: 'a price is US dollars with at most nine decimals',
  });

const rateSchema = z
  .partialRecord(z.enum(billedClasses), usdSchema)
  .refine((rates) => rates.input !== undefined && rates.output !== undefined, {
    error: 'a price says at least what input and output cost; what is free costs 0',
  });

export const pricesSchema = z
  .record(z.string().min(1).max(patternCharsMax), rateSchema)
  .refine((prices) => Object.keys(prices).length <= pricesMax, {
    error: `there are at most ${pricesMax} prices`,
  })
  .default({})
  .describe(
    'What models cost where it is not what the snapshot says: by `provider/model` (globs; the first that matches counts), in US dollars for a million tokens, or for a thousand searches, pictures of a tool (`imageCalls`) or sandboxes for code (`codeSessions`).',
  );

export type PricesConfig = z.infer<typeof pricesSchema>;
