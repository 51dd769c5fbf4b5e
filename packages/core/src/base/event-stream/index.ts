/**
 * @module AWS event streams (`application/vnd.amazon.eventstream`): framed messages with typed headers and a payload.
 *
 * Promises: both checksums of every message are verified before anything of it is believed; any split of the bytes
 * gives the same messages; a message keeps its own bytes, so that a stream can pass through unchanged; a length is
 * believed only after the checksum over it, and only within the limits.
 * Refuses: header names twice in a message, types of headers that nobody documents, texts that are not UTF-8, lengths
 * that do not add up. After a refusal a decoder gives nothing more: there is no mark to find the next message by.
 * Limits: 16 MiB of payload and 128 KiB of headers to a message, as the format itself has them.
 */
export { crc32 } from './crc32.ts';
export * from './decoder.ts';
export * from './headers.ts';
export * from './message.ts';
