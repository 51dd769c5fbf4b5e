import type { Glob } from '@postern/core/base';
import { compileGlob } from '@postern/core/base';
import type { Caller, CredentialScope } from '@postern/core/identity';
import type {
  AccessPoint,
  AiDecision,
  CallerAccess,
  Inventory,
  PolicyFile,
} from '@postern/core/policy';
import { dialectNames, GatewayAccess } from '@postern/core/policy';
import type { AccessDecision, AccessPolicy, AccessQuery } from '../../gateway/index.ts';

export interface AccessPolicyOptions {
  readonly file: PolicyFile;
  /** Names the policy in decision ids: the start of its digest. */
  readonly revision: string;
  /** Where the gateway stands on the network; undefined without one. */
  readonly point?: AccessPoint;
  readonly inventory?: Inventory;
}

/** A policy as access policy. Made once for each policy and inventory; decisions are remembered per caller. */
export function createAccessPolicy(options: AccessPolicyOptions): AccessPolicy {
  const { file, revision, point, inventory } = options;
  const gateway = new GatewayAccess(file, {
    revision,
    point,
    ...(inventory === undefined ? {} : { inventory }),
  });
  const policy = new PolicyDecisions(gateway);
  return {
    decide: (query) => policy.decide(query),
    mayUse: (caller, model) => policy.mayUse(caller, model),
    mayAdminister: (caller, operation) => policy.mayAdminister(caller, operation),
  };
}

/** The rule in the decisions about the person who started the process. */
const operatorRule = 'local operator';

interface ScopeGlobs {
  readonly models: readonly Glob[] | undefined;
  readonly dialects: ReadonlySet<string> | undefined;
}

const unlimited: ScopeGlobs = { models: undefined, dialects: undefined };

class PolicyDecisions {
  readonly #gateway: GatewayAccess;
  /** Decisions of the policy in the words of the port: the same object each time. */
  readonly #worded = new WeakMap<AiDecision, AccessDecision>();
  readonly #scopes = new WeakMap<CredentialScope, ScopeGlobs>();
  readonly #forOperator: AccessDecision;

  constructor(gateway: GatewayAccess) {
    this.#gateway = gateway;
    this.#forOperator = Object.freeze({
      allowed: true,
      id: `${gateway.index.revision}:local`,
      rule: operatorRule,
      maxOutputTokens: undefined,
    });
  }

  decide({ caller, model, dialect, maxOutputTokens }: AccessQuery): AccessDecision {
    const isInScope = this.#isInScope(caller, model, dialect);
    if (caller.subject.authority === 'local') {
      return isInScope ? this.#forOperator : this.#outOfScope();
    }
    const access = this.#gateway.accessOf(caller.subject);
    // Whether the targets are attested is not known before routing: what asks for it is never met.
    const decision = access.decideAi({ model, dialect, maxOutputTokens, attested: false });
    if (!isInScope && access.hasAi) return this.#outOfScope();
    return this.#word(decision);
  }

  mayUse(caller: Caller, model: string): boolean {
    if (caller.subject.authority === 'local') return this.#modelInScope(caller, model);
    if (!this.#modelInScope(caller, model)) return false;
    const access = this.#gateway.accessOf(caller.subject);
    if (!access.listsModel(model)) return false;
    const { dialects } = this.#scopeOf(caller);
    return dialectNames.some(
      (dialect) => (dialects?.has(dialect) ?? true) && isAllowed(access, model, dialect),
    );
  }

  mayAdminister(caller: Caller, operation: string): boolean {
    if (caller.subject.authority === 'local' || caller.scope?.admin === false) return false;
    return this.#gateway.accessOf(caller.subject).decideAdmin(operation).allowed;
  }

  #word(decision: AiDecision): AccessDecision {
    const known = this.#worded.get(decision);
    if (known !== undefined) return known;
    const worded = Object.freeze(this.#wordingOf(decision));
    this.#worded.set(decision, worded);
    return worded;
  }

  #wordingOf(decision: AiDecision): AccessDecision {
    const { id } = decision;
    if (!decision.allowed) return { allowed: false, id, why: whyOf[decision.reason] };
    const { limits, budgets, capture, maxOutputTokens } = decision.object;
    return { allowed: true, id, rule: this.#ruleOf(id), maxOutputTokens, limits, budgets, capture };
  }

  /** `policy.hujson grants[0] line 7`: the object, where a person finds it. */
  #ruleOf(id: string): string {
    const entry = this.#gateway.index.entryOf(id);
    const { section = '', index = '' } = entry?.rule ?? {};
    return `policy.hujson ${section}[${index}] line ${entry?.at.line ?? 0}`;
  }

  #outOfScope(): AccessDecision {
    const id = `${this.#gateway.index.revision}:deny/ai/model`;
    return { allowed: false, id, why: 'model' };
  }

  #isInScope(caller: Caller, model: string, dialect: string): boolean {
    const { dialects } = this.#scopeOf(caller);
    return (dialects?.has(dialect) ?? true) && this.#modelInScope(caller, model);
  }

  #modelInScope(caller: Caller, model: string): boolean {
    const { models } = this.#scopeOf(caller);
    return models === undefined || models.some((glob) => glob(model));
  }

  #scopeOf({ scope }: Caller): ScopeGlobs {
    if (scope === undefined) return unlimited;
    const known = this.#scopes.get(scope);
    if (known !== undefined) return known;
    const globs = {
      models: scope.models?.map(compileGlob),
      dialects: scope.dialects === undefined ? undefined : new Set(scope.dialects),
    };
    this.#scopes.set(scope, globs);
    return globs;
  }
}

type Denial = (AiDecision & { allowed: false })['reason'];
type Why = (AccessDecision & { allowed: false })['why'];

const whyOf: Readonly<Record<Denial, Why>> = {
  no_grant: 'nothing',
  model: 'model',
  dialect: 'model',
  attestation: 'model',
  output_limit: 'output-limit',
};

function isAllowed(access: CallerAccess, model: string, dialect: string): boolean {
  return access.decideAi({ model, dialect, maxOutputTokens: undefined, attested: false }).allowed;
}
