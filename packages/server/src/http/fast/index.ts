/**
 * @module The short way in: requests of the usual shape, read from the socket by a strict reader of our own.
 *
 * Budget of a request on a kept connection: no event emitter, nothing of a stream's bookkeeping, no timer, one write for
 * head and body, which is said together with the others of its turn of the loop; a head of the same bytes as the one
 * before, on this connection or on another that is open, is compared and neither read nor judged again.
 * Promises: it takes only what it understands to the last byte and what `judgeHead` accepts; everything else (another
 * method, chunks, an unfinished head, several requests at once, every refusal) is handed over to node:http, socket and
 * bytes, before anything of it had an effect. Refuses: to refuse. Limits: those of the listener.
 */
export { FastFront } from './fast-front.ts';
export { readHead, type ReadHead } from './head-reader.ts';
