/**
 * @module The way out to an attested upstream: HTTP/1.1 over connections whose peer was judged before a byte was sent.
 *
 * Promises: every answer comes with who gave it; an upstream that is somebody else gets no byte; a broken answer never looks
 * complete. Refuses: redirects, proxies, other authorities than the judgement. Limits: those of the request.
 */
export * from './answer.ts';
export * from './egress.ts';
