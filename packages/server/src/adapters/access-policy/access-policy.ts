import type { Glob } from '@postern/core/base';
import { compileGlob } from '@postern/core/base';
import type { Caller, CredentialScope } from '@postern/core/identity';
import type { AccessPoint, AiDecision, Inventory, PolicyFile } from '@postern/core/policy';
import { dialectNames, GatewayAccess } from '@postern/core/policy';
import type { AccessDecision, AccessPolicy, AccessQuery } from '../../gateway/index.ts';

export interface AccessPolicyOptions {
  readonly file: PolicyFile;
  /** Names the policy in decision ids: the start of its digest. */
  readonly revision: string;
  /** What people call the text, in `rule`: `policy.hujson`. */
  readonly name?: string;
  /** Where the gateway stands on the network; undefined without one. */
  readonly point?: AccessPoint;
  readonly inventory?: Inventory;
}

/** A policy as access policy. Made once for each policy and inventory; decisions are remembered per caller. */
export function createAccessPolicy(options: AccessPolicyOptions): AccessPolicy {
  const { file, revision, name = 'policy.hujson', point, inventory } = options;
  const gateway = new GatewayAccess(file, {
    revision,
    point,
    ...(inventory === undefined ? {} : { inventory }),
  });
  const policy = new PolicyDecisions(gateway, name);
  return {
    decide: (query) => policy.decide(query),
    mayUse: (caller, model, attested) => policy.mayUse(caller, model, attested),
    selectorsOf: ({ subject }) => gateway.selectorsOf(subject),
    mayAdminister: (caller, operation) => policy.mayAdminister(caller, operation),
  };
}

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
  readonly #unmapped: AccessDecision;
  readonly #name: string;

  constructor(gateway: GatewayAccess, name: string) {
    this.#gateway = gateway;
    this.#name = name;
    const id = `${gateway.index.revision}:deny/ai/no_grant`;
    this.#unmapped = Object.freeze({ allowed: false, id, why: 'unmapped' });
  }

  decide({ caller, model, dialect, maxOutputTokens, attested }: AccessQuery): AccessDecision {
    const access = this.#gateway.accessOf(caller.subject);
    const decision = access.decideAi({ model, dialect, maxOutputTokens, attested });
    if (access.hasAi) {
      return this.#isInScope(caller, model, dialect) ? this.#word(decision) : this.#outOfScope();
    }
    return isNobody(caller) ? this.#unmapped : this.#word(decision);
  }

  mayUse(caller: Caller, model: string, attested: boolean): boolean {
    if (!this.#modelInScope(caller, model)) return false;
    const access = this.#gateway.accessOf(caller.subject);
    if (!access.listsModel(model)) return false;
    const { dialects } = this.#scopeOf(caller);
    return dialectNames.some(
      (dialect) =>
        (dialects?.has(dialect) ?? true) &&
        access.decideAi({ model, dialect, maxOutputTokens: undefined, attested }).allowed,
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

  /** `policy.hujson:7`: the object, where a person finds it. */
  #ruleOf(id: string): string {
    return `${this.#name}:${this.#gateway.index.entryOf(id)?.at.line ?? 0}`;
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
  attestation: 'attestation',
  output_limit: 'output-limit',
};

/** A policy matches only by selectors: on the network a machine has some, elsewhere only whom the configuration maps. */
function isNobody({ subject }: Caller): boolean {
  return subject.authority !== 'tailnet' && subject.selectors.length === 0;
}
