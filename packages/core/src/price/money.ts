import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { RateClass, Rates } from './model.ts';
import { rateClasses, rateMax, toolClasses } from './model.ts';

/**
 * Money is a safe integer of nano-USD (10⁻⁹ USD): the cheapest token there is costs some nano-USD, and an integer adds up
 * to the same sum in every order. A number and not a bigint, because amounts cross JSON, the journal and 64-bit
 * database columns, where a bigint needs a codec that somebody forgets; products, which do not fit, are made in bigint
 * inside `costOf` alone.
 */
export type NanoUsd = number;

/** One USD. */
export const nanoUsdPerUsd = 1_000_000_000;

/**
 * The largest amount: nine million USD, the last round million below 2⁵³. The sum of two amounts may pass 2⁵³ and round, but a sum
 * that is too large never rounds to one that is not, so a check after an addition holds.
 */
export const nanoUsdMax: NanoUsd = 9_000_000 * nanoUsdPerUsd;

export function isNanoUsd(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= nanoUsdMax;
}

/**
 * Reads decimal USD (`"12"`, `"0.000000001"`) without a float on the way. A number counts as its shortest decimal text, which is
 * what stands in the file that it was read from. Signs, exponents and more than nine decimals are refused.
 */
export function nanoUsdOf(usd: string | number): Result<NanoUsd, string> {
  const match = /^(\d{1,7})(?:\.(\d{1,9}))?$/.exec(String(usd));
  if (match === null)
    return err(
      'an amount in USD is a decimal of at most seven digits and nine decimals, such as "12.50"',
    );
  const [, whole = '0', fraction = ''] = match;
  const amount = BigInt(whole) * BigInt(nanoUsdPerUsd) + BigInt(fraction.padEnd(9, '0'));
  return amount > BigInt(nanoUsdMax)
    ? err('amounts above 9,000,000 USD are not counted')
    : ok(Number(amount));
}

/** Decimal USD with at least two decimals and no digit that says nothing: `1.50`, `0.000012`. */
export function usdText(amount: NanoUsd): string {
  const sign = amount < 0 ? '-' : '';
  const absolute = BigInt(Math.abs(amount));
  const whole = absolute / BigInt(nanoUsdPerUsd);
  const fraction = (absolute % BigInt(nanoUsdPerUsd)).toString().padStart(9, '0');
  return `${sign}${whole}.${fraction.slice(0, 2)}${fraction.slice(2).replace(/0+$/, '')}`;
}

const perThousand: readonly string[] = toolClasses;

/** Rates as people write them, in USD for a million tokens or a thousand uses of a tool: `{"input": "2.50", "output": 10}`. */
export function ratesOfUsd(
  fields: Readonly<Record<string, string | number>>,
): Result<Rates, string> {
  const rates: Partial<Record<RateClass, number>> = {};
  for (const [name, usd] of Object.entries(fields)) {
    const field = rateClasses.find((each) => each === name);
    if (field === undefined) return err(`there is no class "${name}" that is billed`);
    const amount = nanoUsdOf(usd);
    if (!amount.ok) return err(`${name}: ${amount.error}`);
    const rate = perThousand.includes(name) ? amount.value * 1_000 : amount.value;
    if (rate > rateMax) return err(`${name}: above a million USD per million`);
    rates[field] = rate;
  }
  return ok(rates);
}
