/** The budget that the built-in policy charges; `POSTERN_LOCAL_BUDGET` is its amount. */
export const localBudget = 'local';

/** What the configuration of a start without a file maps the local operator and every key to. */
export const localTag = 'tag:local';

/** Names the built-in policy in decision ids. */
export const builtInRevision = 'built-in';

/**
 * What decides where there is no configuration file and nobody applied a policy: a policy like any other, so that what
 * explains decisions explains these too. It grants models and nothing else; nobody administers by it.
 */
export const builtInPolicy = `// The policy of a start without a configuration file.
// ${localTag}: the person who runs Postern, on this machine, and the keys that they made.
{
  "tagOwners": {"${localTag}": []},
  "grants": [
    {"src": ["${localTag}"], "dst": ["*"], "app": {"postern.dev/cap/ai": [
      {"models": ["**"], "budgets": ["${localBudget}"]},
    ]}},
  ],
}
`;
