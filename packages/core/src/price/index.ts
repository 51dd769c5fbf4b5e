/**
 * @module What a request costs: prices of models at a time, and usage → nano-USD.
 *
 * Promises: integers from the published price to the charge, rounded up once; a price that nobody stated is `unknown`, never
 * zero; self-hosted models are free because their addresses say so; what is used and not priced is refused, not given away.
 * Refuses: clocks, fetching prices (the snapshot is a dated file; operators write their own over it), regular expressions on names
 * that callers send. Limits: amounts up to 9,000,000 USD, rates up to a million USD per million, names of 512 characters,
 * 1,000 overrides. Leaves out: what is billed by the hour, page or stored byte.
 */
export * from './book.ts';
export * from './cost.ts';
export * from './fault.ts';
export * from './model.ts';
export * from './money.ts';
export * from './site.ts';
export { ruleCovers } from './rule.ts';
