/**
 * What differs between the model families behind this one format, by the names that Amazon gives them. An inference
 * profile of an account hides the family behind a number: such a model gets what most have, and no vendor's own fields.
 */
export interface ModelTraits {
  /** Takes Anthropic's own request fields (`thinking`, `top_k`, `tool_choice`). */
  readonly hasAnthropicFields: boolean;
  /** Takes prompt-cache markers in system and messages; others refuse a request that has them. */
  readonly hasCache: boolean;
  /** Takes markers among the tools, and how long they hold. */
  readonly hasToolCache: boolean;
  /** Takes reasoning back that it signed. */
  readonly hasReasoning: boolean;
}

const everything: ModelTraits = {
  hasAnthropicFields: true,
  hasCache: true,
  hasToolCache: true,
  hasReasoning: true,
};

/** A conversation in this very format was written for its model, so that all of it is said. */
export function traitsOf(model: string, isOwn: boolean): ModelTraits {
  if (isOwn || /anthropic|claude/i.test(model)) return everything;
  if (/amazon\.nova/i.test(model)) {
    return { hasAnthropicFields: false, hasCache: true, hasToolCache: false, hasReasoning: true };
  }
  const isHidden = /^arn:/i.test(model);
  return {
    hasAnthropicFields: false,
    hasCache: isHidden,
    hasToolCache: isHidden,
    hasReasoning: isHidden,
  };
}
