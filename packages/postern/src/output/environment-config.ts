import type { Environment } from '@postern/server/app/machine';

/** A configuration and the policy beside it, as they are written. */
export interface StarterFiles {
  readonly config: string;
  readonly policy: string;
}

interface Picture {
  /** What it is, as the first lines of both files. */
  readonly title: string;
  /** Where the two model servers are. */
  readonly instant: string;
  readonly thinking: string;
  /** Members of the configuration that this environment alone has. */
  readonly more: string;
  /** Callers over the private network reach the gateway by it. */
  readonly isMeshed: boolean;
}

const database = `
  // State that outlives this machine. The secret is a URL: postgres://user:password@10.0.4.10:5432/postern
  "store": {"postgres": {"url": {"env": "POSTERN_POSTGRES_URL"}}},
`;

/** A load balancer that ends TLS before a gateway in a network of the cloud. */
const balanced = `
  // Only the balancer reaches this address; anybody else is cut off before a byte is read.
  "publicEdge": {
    "address": "10.0.1.10:8000", // this machine, in the public subnet
    "hosts": ["api.example.com"],
    "tls": "balancer",
  },
  "trustedProxies": ["10.0.0.0/24"], // where the balancer is
  "listeners": {"gateway": {"address": "127.0.0.1:8080"}},
${database}`;

const pictures: Readonly<Record<Environment, Picture>> = {
  dev: {
    title: `Development: laptop, gateway and model servers are on one private network (Tailscale, Headscale or Postern's own); nothing is
// public. This machine is on it as tag:gateway.`,
    instant: 'http://100.64.0.11:8080/v1',
    thinking: 'http://100.64.0.12:8080/v1',
    more: `
  // Believe that a caller on this machine under the same user is that person.
  "trustLoopback": true,
`,
    isMeshed: true,
  },
  'staging-home': {
    title: `Staging at home: a spare machine on the private network, public over HTTPS. The model servers stay on the private network.`,
    instant: 'http://100.64.0.11:8080/v1',
    thinking: 'http://100.64.0.12:8080/v1',
    more: `
  // Reached from the internet: keys and tokens count there, and nothing else.
  "publicEdge": {
    "address": ":443",
    "hosts": ["staging.example.com"],
    "tls": {
      "certificateFile": "/etc/postern/tls/fullchain.pem", // read again when it is renewed
      "keyFile": "/etc/postern/tls/privkey.pem",
    },
  },
`,
    isMeshed: true,
  },
  'staging-cloud': {
    title: `Staging in a cloud: a balancer with HTTPS, the gateway in the public subnet, model servers in a private one without public addresses.`,
    instant: 'http://10.0.2.10:8080/v1',
    thinking: 'http://10.0.3.10:8080/v1',
    more: balanced,
    isMeshed: false,
  },
  production: {
    title: `Production: a balancer with HTTPS, the gateway behind it on port 8000, model servers and database in private subnets; everything else is denied.`,
    instant: 'http://10.0.2.10:8080/v1',
    thinking: 'http://10.0.3.10:8080/v1',
    more: balanced,
    isMeshed: false,
  },
};

/** First files of an environment. Addresses and names in them are to be replaced. */
export function environmentFiles(environment: Environment): StarterFiles {
  const picture = pictures[environment];
  return { config: configOf(environment, picture), policy: policyOf(picture) };
}

function configOf(environment: Environment, picture: Picture): string {
  const { title, instant, thinking, more } = picture;
  return `// ${title}
// Replace addresses and names by yours, then:
// postern config check && postern policy check && postern network plan --env ${environment}
{
  // Model servers of your own. Only the gateway may reach them: postern network plan --env ${environment} --for inference
  "providers": {
    "instant-gpu": {"kind": "openai", "baseUrl": "${instant}"},
    "thinking-gpu": {"kind": "openai", "baseUrl": "${thinking}"},
  },

  // "instant" answers requests that name no model. The names of the models are those of their servers (postern models).
  "aliases": {
    "instant": ["instant-gpu/llama-3.1-8b"],
    "thinking": ["thinking-gpu/qwen3-32b"],
  },

  // What callers without a login on the network are for policy.hujson.
  "identities": {
    "map": [
      // Whoever runs Postern, on this machine.
      {"local": true, "as": ["tag:operator"]},
      // postern key create app
      {"key": "app", "as": ["tag:app"]},
    ],
  },
${more}}
`;
}

function policyOf({ title, isMeshed }: Picture): string {
  const people = isMeshed
    ? `  // Who works with it, by their login on the private network.
  "groups": {"group:devs": ["alice@example.com"]},

`
    : '';
  const overNetwork = isMeshed
    ? `    // Developers, over the private network.
    {"src": ["group:devs"], "dst": ["tag:gateway"], "ip": ["tcp:80"], "app": {"postern.dev/cap/ai": [
      {"models": ["**"]},
    ]}},
    // The gateway alone reaches the model servers.
    {"src": ["tag:gateway"], "dst": ["tag:inference"], "ip": ["tcp:8080"]},
`
    : '';
  const inference = isMeshed ? ', "tag:inference": []' : '';
  return `// ${title}
// postern policy plan    says what a change of this file would mean
// postern policy apply   puts it in force (the first one comes into force with the first start)
{
${people}  // Every tag that the file names, and who may give it to machines. "tag:gateway" is this Postern.
  "tagOwners": {"tag:gateway": [], "tag:operator": [], "tag:app": []${inference}},

  "grants": [
    {"src": ["tag:operator"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [
      {"models": ["**"]},
    ]}},
    // Programs with a key: the two models, with an end to what an answer may cost.
    {"src": ["tag:app"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [
      {"models": ["instant", "thinking"], "maxOutputTokens": 2048},
    ]}},
${overNetwork}  ],
}
`;
}
