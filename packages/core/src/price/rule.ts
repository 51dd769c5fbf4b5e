import type { ModelRule } from './model.ts';

/** Does the rule cover the name (lower case)? Linear in the name for every rule; nothing backtracks. */
export function ruleCovers(rule: ModelRule, name: string): boolean {
  if (typeof rule === 'string') return name === rule;
  if ('startsWith' in rule) return name.startsWith(rule.startsWith);
  if ('endsWith' in rule) return name.endsWith(rule.endsWith);
  if ('contains' in rule) return name.includes(rule.contains);
  if ('shape' in rule) return hasShape(rule.shape, name);
  if ('any' in rule) return rule.any.some((each) => ruleCovers(each, name));
  if ('all' in rule) return rule.all.every((each) => ruleCovers(each, name));
  return !ruleCovers(rule.not, name);
}

function hasShape(shape: string, name: string): boolean {
  const isOpen = shape.endsWith('*');
  const length = isOpen ? shape.length - 1 : shape.length;
  if (isOpen ? name.length < length : name.length !== length) return false;
  for (let i = 0; i < length; i += 1) {
    const wanted = shape[i];
    const found = name[i] ?? '';
    if (wanted === '#' ? found < '0' || found > '9' : wanted !== found) return false;
  }
  return true;
}

/** Rules in it, nested ones included. */
export function ruleCount(rule: ModelRule): number {
  return 1 + innerRules(rule).reduce((sum, each) => sum + ruleCount(each), 0);
}

export function ruleDepth(rule: ModelRule): number {
  return 1 + Math.max(0, ...innerRules(rule).map(ruleDepth));
}

export function innerRules(rule: ModelRule): readonly ModelRule[] {
  if (typeof rule === 'string') return [];
  if ('any' in rule) return rule.any;
  if ('all' in rule) return rule.all;
  return 'not' in rule ? [rule.not] : [];
}

/** The text that a leaf compares with. */
export function ruleText(rule: ModelRule): string | undefined {
  if (typeof rule === 'string') return rule;
  if ('startsWith' in rule) return rule.startsWith;
  if ('endsWith' in rule) return rule.endsWith;
  if ('contains' in rule) return rule.contains;
  return 'shape' in rule ? rule.shape : undefined;
}

/**
 * Vendors write the day of a model as `-20251120` or as `-2025-11-20`. The second spelling of a name that has the first one;
 * the name itself where it has none or the digits are no day.
 */
export function withDashedDay(name: string): string {
  return name.replaceAll(
    /-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g,
    (all, year: string, month: string, day: string) => {
      const isDay =
        new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() ===
        Number(day);
      return isDay ? `-${year}-${month}-${day}` : all;
    },
  );
}
