/**
 * @module A bounded cursor over bytes: what the binary readers (CBOR, SCALE, MessagePack, quotes) share.
 *
 * Promises: never reads past its end, never copies or allocates by a declared length, says at which
 * offset it stopped. Refuses: seeking, growing, any knowledge of a format.
 */
export * from './cursor.ts';
