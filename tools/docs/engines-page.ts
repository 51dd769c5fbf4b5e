import {
  capabilitiesOf,
  type EngineCapability,
  type EngineEdition,
  engineCapabilities,
} from '../../packages/server/src/control/engine/index.ts';
import { knownScopes } from '../../packages/server/src/control/tailnet-api/index.ts';
import { generated, table } from './markdown.ts';

const editions: readonly (readonly [EngineEdition, string])[] = [
  ['embedded', 'embedded'],
  ['headscale-v1', 'Headscale 0.26–0.29'],
  ['headscale-v2', 'Headscale 0.30'],
  ['tailscale', 'Tailscale'],
];

const scopeMeanings: Readonly<Record<string, string>> = {
  all: 'everything',
  'devices:core': 'machines: names, tags, keys, forgetting them',
  'devices:routes': 'what machines may route',
  auth_keys: 'keys by which machines join, with the tags of the client',
  oauth_keys: 'OAuth clients, none wider than the one that makes them',
  policy_file: 'the policy, with validation and previews',
  dns: 'DNS settings',
  users: 'people',
  feature_settings: 'settings',
};

/** What each engine can do, from the table by which operations refuse. */
export function enginesPage(): string {
  // The names of an object are its keys.
  const capabilities = Object.keys(engineCapabilities) as readonly EngineCapability[];
  return [
    '# Engines',
    '',
    generated,
    'What coordinates the private network: Postern itself, Headscale or Tailscale. All of them list machines, show one, forget it, and change its',
    'tags and routes; make, list and revoke keys by which machines join; and show their policy. The rest:',
    '',
    ...table(
      ['', ...editions.map(([, title]) => title), 'what it is'],
      capabilities.map((name) => [
        `\`${name}\``,
        ...editions.map(([edition]) => (capabilitiesOf[edition].has(name) ? 'yes' : '–')),
        engineCapabilities[name],
      ]),
    ),
    '',
    'What an engine cannot do is refused with a sentence that names the row (`conflict`), never ignored. `postern network status` shows the list of the',
    'engine in use. How to choose one: [engines](../howto/engines.md).',
    '',
    '## Where they differ otherwise',
    '',
    ...table(
      ['', 'how it is met'],
      [
        [
          'Headscale before 0.30 has no etag of a policy',
          'Postern compares the SHA-256 of the text right before it writes; what somebody else writes within these milliseconds is lost',
        ],
        [
          'Headscale has no approval of machines',
          'a key that asks for one is refused; `headscale auth approve` lets in what waits at its sign-in page',
        ],
        [
          'Headscale keeps DNS and settings in its file',
          '`postern network dns` says so; `postern network config headscale` writes the file',
        ],
        ['Headscale does not say systems and client versions', '`postern node list` shows `-`'],
        ['Tailscale and Headscale 0.30 give keys to tags', '`--user` is refused; `--tags` it is'],
        [
          'Headscale knows no postures and no IP sets',
          '`postern policy check --for headscale` finds them before it does',
        ],
      ],
    ),
    '',
    '## The API of the embedded engine',
    '',
    'The control listener (`engine.apiAddress`, port 8000) speaks the Tailscale API v2 under `/api/v2`; the tailnet is `-`. Its official Go client, and',
    'what is built on it, work unchanged: `devices`, `device/{id}` with `authorized`, `name`, `tags`, `routes`, `expire`; `keys`; `acl` with `If-Match`,',
    '`validate` and `preview`; `dns`; `users`; `settings` (read). An administrator’s key (`postern key create NAME --admin`) is a bearer token or the user of',
    'Basic; one that does not go back to the owner of the control socket does there what the policy (`postern.dev/cap/admin`) lets it do. What is refused has the shape of that API: `{"message", "status"}`; 412 is a policy that changed meanwhile, 501 something that this engine does',
    'not do. A change of high risk is 403 with the id of a plan: after `postern approve` the same request goes through.',
    '',
    'OAuth clients are made with `{"keyType": "client", "scopes": […], "tags": […]}`; their secret is exchanged at `/api/v2/oauth/token` for tokens that',
    'live for an hour and end with the client. Scopes, each also with `:read`:',
    '',
    ...table(
      ['scope', 'allows'],
      [...knownScopes]
        .filter((scope) => !scope.endsWith(':read'))
        .map((scope) => [`\`${scope}\``, scopeMeanings[scope] ?? '']),
    ),
    '',
  ].join('\n');
}
