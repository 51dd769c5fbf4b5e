/**
 * @module Tools for agents: the desk (what an agent may ask for and how it is bounded, asked back and recorded), the
 * routes under `/mcp`, and in `protocol` and `stdio` the Model Context Protocol, loaded when the first agent comes.
 *
 * Promises: a tool is operations of the admin API in the caller's name, with the caller's own grants, and never more; a
 * plan is applied by its id, by whoever made it; a change of anybody's access waits for a person outside of the client;
 * one line in the audit log for every call; text that others wrote is cleaned, bounded and in fields of its own; secrets
 * never pass through a conversation. Refuses: approving, policies as text to apply, requests that were forged or come
 * twice, whatever a client says that nobody asked it. Limits: `mcpLimits`.
 */
export type { Desk, ToolCall, ToolDescription, ToolReply } from './desk.ts';
export type { Document } from './resources.ts';
export { createDesk } from './desk.ts';
export { deskHandler, deskPath } from './desk-handler.ts';
export { handoffPrefix } from './handoff.ts';
export type { McpHttpOptions } from './http-handler.ts';
export { mcpHttpHandler, mcpPath, metadataPath } from './http-handler.ts';
export { mcpLimits } from './limits.ts';
export type { ToolLine } from './line.ts';
export type { Delivered, DeskPorts, Visitor } from './ports.ts';
export { prompts } from './prompts.ts';
export { resources, templates } from './resources.ts';
export { tools } from './tools/index.ts';
