import type { Answers } from '../commands/init.ts';

/** A first configuration file with its explanations, from what was found and answered. */
export function starterConfig({ providers, owner, trustLoopback }: Answers): string {
  const who = JSON.stringify(['local', ...(owner === undefined ? [] : [owner])]);
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

  // Who may call which models; nobody else may. A caller is a login, group:…, tag:…, key:NAME, jwt:ISSUER#SUBJECT,
  // or "local": the person who runs Postern, on this machine.
  "access": [
    {"who": ${who}, "models": ["**"]},
    // {"who": ["key:ci"], "models": ["instant"]},
  ],

  // Believe that a caller on this machine under the same user is that person.
  "trustLoopback": ${String(trustLoopback)},
}
`;
}

/** Without the defaults that every provider has: the file shows what somebody chose. */
function compact(config: Answers['providers'][number]['config']): Record<string, unknown> {
  if (config.kind === 'builtin') return { kind: config.kind };
  if (config.kind === 'bedrock') return { kind: config.kind, region: config.region };
  return {
    kind: config.kind,
    baseUrl: config.baseUrl,
    ...(config.key === undefined ? {} : { key: config.key }),
  };
}
