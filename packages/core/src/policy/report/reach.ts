/** Who reaches what, as a table. */
import { err, ok, type Result } from '../../base/result.ts';
import { compileTailnet } from '../compile/tailnet.ts';
import type { Inventory } from '../compile/inventory.ts';
import { parsePolicyText } from '../file/text.ts';
import {
  atomsOf,
  formatRuleRef,
  reach,
  Relation,
  selectSources,
  selectTargets,
  worldOf,
} from '../reason/index.ts';
import type { ParsedPolicy } from '../file/parse.ts';
import { standInInventory } from './stand-in.ts';

/** Rows of one answer: a table that nobody can read is cut, and says so. */
const rowsMax = 2_000;

export interface ReachReport {
  readonly rows: readonly {
    readonly sources: readonly string[];
    readonly targets: readonly string[];
    readonly network: string;
    readonly capabilities: readonly string[];
    readonly ssh: readonly string[];
    readonly rules: readonly string[];
    /** A capability without an open port: where there is a network, the program never sees the caller. */
    readonly unusable: boolean;
  }[];
  readonly complete: boolean;
}

export function reachReport(
  text: string,
  inventory: Inventory,
  question: { readonly from?: string | undefined; readonly to?: string | undefined } = {},
): Result<ReachReport, string> {
  const parsed = parsePolicyText(text);
  if (!parsed.accepted) return err(parsed.refusal ?? 'the file cannot be read');
  const relation = relationOf(parsed, inventory);
  const from = question.from === undefined ? undefined : selectSources(relation, question.from);
  if (from?.ok === false) return from;
  const to = question.to === undefined ? undefined : selectTargets(relation, question.to);
  if (to?.ok === false) return to;
  const rows = reach(relation, {
    ...(from === undefined ? {} : { from: from.value }),
    ...(to === undefined ? {} : { to: to.value }),
  });
  return ok({
    rows: rows.slice(0, rowsMax).map(({ rules, isUnusable, ...row }) => ({
      ...row,
      rules: rules.map(formatRuleRef),
      unusable: isUnusable,
    })),
    complete: relation.atoms.world.isComplete && rows.length <= rowsMax,
  });
}

/** The policy over its own world. */
export function relationOf({ file }: ParsedPolicy, inventory: Inventory): Relation {
  const world = worldOf(standInInventory(inventory, [file]), [file]);
  const tailnet = compileTailnet(file, world.inventory);
  return new Relation(tailnet, atomsOf(world, [tailnet]));
}
