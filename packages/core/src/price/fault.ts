import type {
  ModelPrice,
  ModelRule,
  PricedModel,
  PriceSnapshot,
  Rates,
  VendorPrices,
} from './model.ts';
import { entryRulesMax, rateClasses, rateMax, ruleDepthMax, vendorModelsMax } from './model.ts';
import { rateOf } from './cost.ts';
import { innerRules, ruleCount, ruleDepth, ruleText } from './rule.ts';

/**
 * Everything that is wrong with a snapshot, in words; empty where nothing is. The generator writes no file that this complains
 * about, and a test asks it about the file that is there.
 */
export function snapshotFaults(snapshot: PriceSnapshot): string[] {
  const faults: string[] = [];
  for (const [what, day] of [
    ['publishedOn', snapshot.source.publishedOn],
    ['generatedOn', snapshot.generatedOn],
  ] as const)
    if (!isDay(day)) faults.push(`${what}: ${day} is no day`);
  const ids = snapshot.vendors.map((vendor) => vendor.id);
  faults.push(...twice(ids).map((id) => `vendor ${id} is there twice`));
  for (const vendor of snapshot.vendors) faults.push(...vendorFaults(vendor, ids));
  return faults;
}

function vendorFaults(vendor: VendorPrices, ids: readonly string[]): string[] {
  const faults = [
    ...twice(vendor.models.map((model) => model.id)).map((id) => `${id} is there twice`),
    ...(vendor.fallback ?? [])
      .filter((id) => id === vendor.id || !ids.includes(id))
      .map((id) => `fallback ${id} is no other vendor`),
    ...(vendor.models.length > vendorModelsMax ? ['too many models'] : []),
    ...vendor.models.flatMap((model) => modelFaults(model).map((fault) => `${model.id}: ${fault}`)),
  ];
  return faults.map((fault) => `${vendor.id}: ${fault}`);
}

function modelFaults(model: PricedModel): string[] {
  const faults: string[] = [];
  const rules = model.match.reduce((sum, rule) => sum + ruleCount(rule), 0);
  if (model.match.length === 0 || rules > entryRulesMax) faults.push(`${rules} rules`);
  faults.push(...model.match.flatMap(ruleFaults));
  const context = model.contextTokens;
  if (context !== undefined && (!Number.isSafeInteger(context) || context <= 0))
    faults.push(`contextTokens ${context}`);
  model.periods.forEach((period, i) => {
    if (period.from !== undefined && !isDay(period.from)) faults.push(`${period.from} is no day`);
    if (period.daily?.some((second) => !Number.isInteger(second) || second < 0 || second >= 86_400))
      faults.push(`daily ${period.daily.join('-')} is no span of a day`);
    if (i === 0 && (period.from !== undefined || period.daily !== undefined))
      faults.push('the first period needs to hold always');
    faults.push(...priceFaults(period.price));
  });
  return faults;
}

function ruleFaults(rule: ModelRule): string[] {
  if (ruleDepth(rule) > ruleDepthMax) return ['rules nest too deeply'];
  const text = ruleText(rule);
  if (text === undefined) return innerRules(rule).flatMap(ruleFaults);
  if (text === '' || text !== text.toLowerCase())
    return [`rule "${text}" is empty or not in lower case`];
  const isShape = typeof rule !== 'string' && 'shape' in rule;
  return isShape && text.slice(0, -1).includes('*') ? [`shape "${text}" has a star inside`] : [];
}

/** What is wrong with a price: rates that are no integers, steps that do not rise. Operators' prices are asked too. */
export function priceFaults(price: ModelPrice): string[] {
  const faults = rateFaults(price.rates);
  let before = price.rates;
  let above = 0;
  for (const step of price.steps ?? []) {
    faults.push(...rateFaults(step.rates));
    if (!Number.isSafeInteger(step.aboveTokens) || step.aboveTokens <= above)
      faults.push(`step above ${step.aboveTokens} does not rise`);
    for (const field of rateClasses) {
      if ((rateOf(step.rates, field) ?? -1) < (rateOf(before, field) ?? -1))
        faults.push(`${field} is cheaper above ${step.aboveTokens} tokens`);
    }
    above = step.aboveTokens;
    before = step.rates;
  }
  return faults;
}

function rateFaults(rates: Rates): string[] {
  const faults = Object.entries(rates)
    .filter(([, rate]) => !Number.isSafeInteger(rate) || rate < 0 || rate > rateMax)
    .map(([field, rate]) => `${field}: ${rate} is no rate`);
  return rates.input === undefined && rates.output === undefined
    ? [...faults, 'neither input nor output has a rate']
    : faults;
}

function twice(names: readonly string[]): string[] {
  return names.filter((name, i) => names.indexOf(name) !== i);
}

function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(`${text}T00:00:00Z`));
}
