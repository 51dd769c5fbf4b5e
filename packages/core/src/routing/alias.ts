import type { Target } from './catalog.ts';

/** One step of an alias as the configuration writes it: `provider/model`, or several with their weights. */
export type AliasStep = string | Readonly<Record<string, number>>;

/** The targets of an alias in order; those of one step share a tier. Every name has the form `provider/model`. */
export function aliasTargets(
  steps: readonly AliasStep[],
  maxOutputTokensOf: (provider: string) => number | undefined,
): readonly Target[] {
  return steps.flatMap((step, tier) =>
    typeof step === 'string'
      ? [targetOf(step, maxOutputTokensOf)]
      : Object.entries(step).map(([name, weight]) => ({
          ...targetOf(name, maxOutputTokensOf),
          tier,
          weight,
        })),
  );
}

function targetOf(
  name: string,
  maxOutputTokensOf: (provider: string) => number | undefined,
): Target {
  const slash = name.indexOf('/');
  const provider = name.slice(0, slash);
  const cap = maxOutputTokensOf(provider);
  return {
    provider,
    model: name.slice(slash + 1),
    ...(cap === undefined ? {} : { maxOutputTokens: cap }),
  };
}
