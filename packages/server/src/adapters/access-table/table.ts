import type { Glob } from '@postern/core/base';
import { compileGlob } from '@postern/core/base';
import type { AccessRule } from '@postern/core/contract';
import type { Caller, Principal } from '@postern/core/identity';
import type { AccessDecision, AccessPolicy, AccessQuery } from '../../gateway/index.ts';

interface CompiledRule {
  readonly index: number;
  readonly who: ReadonlySet<string>;
  readonly models: readonly Glob[];
  readonly dialects: ReadonlySet<string> | undefined;
  readonly maxOutputTokens: number | undefined;
  readonly admin: boolean;
}

export interface AccessTableOptions {
  readonly rules: readonly AccessRule[];
  /** Names decisions; unique for each. */
  readonly newDecisionId: () => string;
}

/**
 * The allow table of the configuration as access policy: no rule, no access. Rules are read in order, the first that
 * matches in every field decides; a key's own scope narrows whatever the rules allow.
 */
export function createAccessTable(options: AccessTableOptions): AccessPolicy {
  const rules = options.rules.map(compile);
  return {
    decide: (query) => decide(rules, query, options.newDecisionId()),
    mayUse: (caller, model) =>
      scopeAllows(caller, model) &&
      rulesFor(rules, caller).some((rule) => matchesModel(rule, model)),
    mayAdminister: (caller) =>
      caller.scope?.admin !== false && rulesFor(rules, caller).some((rule) => rule.admin),
  };
}

function compile(rule: AccessRule, index: number): CompiledRule {
  return {
    index,
    who: new Set(rule.who),
    models: rule.models.map(compileGlob),
    dialects: rule.dialects === undefined ? undefined : new Set(rule.dialects),
    maxOutputTokens: rule.maxOutputTokens,
    admin: rule.admin ?? false,
  };
}

function decide(rules: readonly CompiledRule[], query: AccessQuery, id: string): AccessDecision {
  const mine = rulesFor(rules, query.caller);
  if (mine.length === 0) return { allowed: false, id, why: 'nothing' };
  if (!scopeAllows(query.caller, query.model) || !scopeAllowsDialect(query.caller, query.dialect)) {
    return { allowed: false, id, why: 'model' };
  }
  const forModel = mine.filter(
    (rule) => matchesModel(rule, query.model) && (rule.dialects?.has(query.dialect) ?? true),
  );
  if (forModel.length === 0) return { allowed: false, id, why: 'model' };
  const asked = query.maxOutputTokens;
  const rule = forModel.find(
    ({ maxOutputTokens }) =>
      asked === undefined || maxOutputTokens === undefined || asked <= maxOutputTokens,
  );
  if (rule === undefined) return { allowed: false, id, why: 'output-limit' };
  return {
    allowed: true,
    id,
    rule: `access[${rule.index}]`,
    maxOutputTokens: rule.maxOutputTokens,
  };
}

function rulesFor(rules: readonly CompiledRule[], caller: Caller): readonly CompiledRule[] {
  const names = namesOf(caller.subject);
  return rules.filter((rule) => names.some((name) => rule.who.has(name)));
}

/** Every way in which a rule may name this principal. The subject alone counts: `via` carried it, no more. */
function namesOf(principal: Principal): readonly string[] {
  const names = ['*', ...principal.selectors];
  switch (principal.authority) {
    case 'local':
      return [...names, 'local'];
    case 'key':
      return [...names, 'key:*', `key:${principal.id}`, `key:${principal.display}`];
    case 'jwt':
      return [...names, `jwt:${principal.id}`];
    case 'app':
      return [...names, `app:${principal.id}`];
    case 'tailnet':
      return names;
  }
}

function matchesModel(rule: CompiledRule, model: string): boolean {
  return rule.models.some((glob) => glob(model));
}

function scopeAllows(caller: Caller, model: string): boolean {
  const models = caller.scope?.models;
  return models === undefined || models.some((pattern) => compileGlob(pattern)(model));
}

function scopeAllowsDialect(caller: Caller, dialect: string): boolean {
  const dialects = caller.scope?.dialects;
  return dialects === undefined || dialects.includes(dialect);
}
