/**
 * @module The Model Context Protocol over the desk, by the official SDK, which is loaded with this folder: revision
 * 2026-07-28 without sessions, and the ones before it with them.
 *
 * Promises: the same surface in both eras; a visitor comes with each request and is asked for anew; a session belongs to
 * one principal. Refuses: identity, Host and Origin (the listener), permission (the desk), and every request of the
 * server to a client but the question whether a person agrees.
 */
export type { DeskCounter } from './desk-surface.ts';
export { deskSurface } from './desk-surface.ts';
export type { ProtocolHttp, ProtocolHttpOptions } from './http.ts';
export { createProtocolHttp, visitorOf } from './http.ts';
export { createProtocolServer } from './server.ts';
export type { Ask, Surface } from './surface.ts';
