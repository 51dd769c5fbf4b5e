/**
 * @module What a request may cost and use: reserve before dispatch, extend while streaming, settle once, release what was not used.
 *
 * Promises: nothing is sent to a provider that is not paid for in advance; every attempt is charged; an answer that was cut is charged for
 * what was delivered and never zero; a crash counts what was reserved as spent; a store that is down refuses with 503 and
 * never with 401 or 403. Refuses: prices (`core/price`), amounts (`core/quota`), databases (`SliceBank`, `LimitStore`).
 * Limits: 256 accounts and 64 rates a request.
 */
export * from './bank.ts';
export * from './limit-store.ts';
export * from './ledger.ts';
export type * from './ledger-options.ts';
export * from './limiter.ts';
export * from './purse.ts';
export * from './tariff.ts';
export * from './terms.ts';
export * from './desk.ts';
