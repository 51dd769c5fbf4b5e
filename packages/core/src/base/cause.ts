/** What was thrown, in words for an operator: anything can be thrown, and errors have a message. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
