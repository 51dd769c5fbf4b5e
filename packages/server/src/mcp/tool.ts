import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { Inventory } from '@postern/core/policy';
import type { PolicyPlan } from '@postern/core/state';
import type { z } from 'zod';
import type { OperationName, RawInput } from '../control/api/index.ts';
import type { Delivered } from './ports.ts';

/** What a client shows people before a call. All four are always said: what is absent means the worst. */
export interface ToolHints {
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint: boolean;
}

/** Looks and changes nothing. */
export const looks: ToolHints = Object.freeze({
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
});

/** What a tool can do: operations of the admin API, in the name of whoever calls. */
export interface ToolContext {
  readonly caller: Caller;
  readonly nowMs: number;
  perform(name: OperationName, input?: RawInput): Promise<Result<unknown, Refusal>>;
  /** Whether the caller may use this operation, for parts of an answer that not everybody gets. */
  may(name: OperationName): boolean;
  /** A plan of this caller. One of somebody else is as unknown as one that never was. */
  plan(id: string): Result<PolicyPlan, Refusal>;
  readonly inventory: () => Inventory;
  /**
   * Whether a person agreed, as the client says. Only for what a lying client could have had anyway: it is a question
   * of courtesy, no boundary.
   */
  readonly agreement: 'given' | 'declined' | 'none';
  /** Whether the client can put a question to a person at all. */
  readonly canAsk: boolean;
  /** Hands a secret to a person, past the conversation. */
  deliver(secret: string, name: string): Promise<Result<Delivered, Refusal>>;
  /** What else the audit line of this call says. */
  note(more: { readonly plan?: string; readonly approvedBy?: string }): void;
}

/** What became of a call. */
export type ToolResult =
  | { readonly kind: 'done'; readonly value: JsonObject }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  /** The person behind the client has to agree first. */
  | { readonly kind: 'ask'; readonly message: string };

export interface Tool<Input extends z.ZodObject = z.ZodObject> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly hints: ToolHints;
  readonly input: Input;
  /** Every operation that it needs: a caller who may not use one of them does not see the tool. */
  readonly operations: readonly OperationName[];
  run(context: ToolContext, input: z.output<Input>): Promise<ToolResult>;
}

/** A tool whose types are checked here and forgotten, since the table holds many. */
export interface AnyTool extends Omit<Tool, 'run'> {
  run(context: ToolContext, input: unknown): Promise<ToolResult>;
}

export function tool<Input extends z.ZodObject>(definition: Tool<Input>): AnyTool {
  // The desk reads arguments with the schema beside `run` before it calls it, so the types fit again there.
  return definition;
}

export function done(value: JsonObject): ToolResult {
  return { kind: 'done', value };
}

export function refused(refusal: Refusal): ToolResult {
  return { kind: 'refused', refusal };
}

/** An answer of an operation as JSON: it was made to be that. */
export function jsonOf(value: unknown): JsonObject {
  // Operations give values of their output schemas, which are JSON objects.
  return value as JsonObject;
}

/** A text of an answer; empty where there is none. */
export function wordOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** The objects of a list in an answer. */
export function rowsOf(value: JsonValue | undefined): readonly JsonObject[] {
  // Lists of operations hold objects alone.
  return Array.isArray(value) ? (value as readonly JsonObject[]) : [];
}
