import type { Principal } from '@postern/core/identity';
import type { Settlement } from './settlement.ts';

/** What of a settlement is the same for most requests of one caller, and so is text that need not be made again. */
interface Same {
  readonly settlement: Settlement;
  readonly texts: readonly string[];
}

/**
 * Texts made from the parts of a settlement that repeat: kept for each principal until one of its requests differs in any
 * of them. Who it is, what it asked for, by which decision, where it ran and where it came from; never what came of it.
 */
export class SameForCaller {
  readonly #known = new WeakMap<Principal, Same>();
  readonly #make: (settlement: Settlement) => readonly string[];

  constructor(make: (settlement: Settlement) => readonly string[]) {
    this.#make = make;
  }

  of(settlement: Settlement): readonly string[] {
    const subject = settlement.caller?.subject;
    if (subject === undefined) return this.#make(settlement);
    const known = this.#known.get(subject);
    if (known !== undefined && isSame(known.settlement, settlement)) return known.texts;
    const texts = this.#make(settlement);
    this.#known.set(subject, { settlement: withoutRest(settlement), texts });
    return texts;
  }
}

function isSame(a: Settlement, b: Settlement): boolean {
  return (
    isSamePrincipal(a.caller?.via, b.caller?.via) &&
    a.decisionId === b.decisionId &&
    a.model === b.model &&
    a.asked === b.asked &&
    a.target === b.target &&
    a.rule === b.rule &&
    a.dialect === b.dialect &&
    a.request.path === b.request.path &&
    a.request.method === b.request.method &&
    a.request.listener === b.request.listener &&
    a.request.clientAddress === b.request.clientAddress &&
    isSameList(a.accounts, b.accounts)
  );
}

/** The subject is the same: it is what texts are kept for. Each connection makes its caller anew. */
function isSamePrincipal(a: Principal | undefined, b: Principal | undefined): boolean {
  return a === b || (a !== undefined && a.id === b?.id && a.authority === b.authority);
}

function isSameList(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === b) return true;
  if (a?.length !== b?.length) return false;
  return a?.every((each, index) => each === b?.[index]) ?? true;
}

/** Neither a trace nor a conversation lives on in what is remembered. */
function withoutRest(settlement: Settlement): Settlement {
  const { content: _content, trace: _trace, ...kept } = settlement;
  return kept;
}
