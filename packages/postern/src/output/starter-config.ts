import type { Detected } from '@postern/server/app';

/** What a first configuration is made from. */
export interface Answers {
  readonly providers: readonly Detected[];
  /** A login on the private network. */
  readonly owner: string | undefined;
  readonly trustLoopback: boolean;
}

/** What the policy calls whoever runs Postern where they named no login. */
const operatorTag = 'tag:operator';

/** A first configuration file with its explanations, from what was found and answered. */
export function starterConfig({ providers, owner, trustLoopback }: Answers): string {
  const operator = JSON.stringify([owner ?? operatorTag]);
  const rows = providers.map(({ id, config, from }) => {
    const shown = JSON.stringify(compact(config));
    return `    // ${from}\n    ${JSON.stringify(id)}: ${shown},\n`;
  });
  return `// Postern's configuration. JSON with comments and trailing commas; unknown keys are errors.
// postern config check --explain   prints every value that counts
{
  // Where models run. "builtin" is always there.
  "providers": {
${rows.join('')}  },

  // Names for an ordered list of provider/model. "instant" answers requests that name no model.
  "aliases": {
    // "instant": ["ollama/llama3.2"],
  },

  // What callers without a login on the network are for policy.hujson, which stands beside this file and alone says who
  // may call what. Who is not mapped matches no grant.
  "identities": {
    "map": [
      // Whoever runs Postern, on this machine.
      {"local": true, "as": ${operator}},
      // {"key": "ci", "as": ["tag:ci"]},
    ],
  },

  // Believe that a caller on this machine under the same user is that person.
  "trustLoopback": ${String(trustLoopback)},
}
`;
}

/** The policy beside it: whoever runs Postern may call every model, nobody else anything. */
export function starterPolicy({ owner }: Pick<Answers, 'owner'>): string {
  const operator = owner ?? operatorTag;
  const owners = owner === undefined ? `, "${operatorTag}": []` : '';
  return `// Who may do what. JSON with comments and trailing commas.
// postern policy plan    says what a change of this file would mean
// postern policy apply   puts it in force (the first one comes into force with the first start)
{
  // Every tag that the file names, and who may give it to machines. "tag:gateway" is this Postern.
  "tagOwners": {"tag:gateway": [], "tag:ci": []${owners}},

  "grants": [
    {"src": [${JSON.stringify(operator)}], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [
      {"models": ["**"]},
    ]}},
    // {"src": ["tag:ci"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [
    //   {"models": ["instant"], "maxOutputTokens": 1024},
    // ]}},
  ],
}
`;
}

/** Without the defaults that every provider has: the file shows what somebody chose. */
function compact(config: Detected['config']): Record<string, unknown> {
  if (config.kind === 'builtin') return { kind: config.kind };
  if (config.kind === 'bedrock') return { kind: config.kind, region: config.region };
  return {
    kind: config.kind,
    baseUrl: config.baseUrl,
    ...(config.key === undefined ? {} : { key: config.key }),
  };
}
