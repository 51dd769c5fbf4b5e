import type { JsonObject, JsonValue } from '@postern/core/base';
import type { Imported } from './imported.ts';
import { freeId, present, Report } from './imported.ts';
import { liteLlmVendors, vendorOfBareName } from './litellm-vendors.ts';
import type { FoundProvider } from './providers.ts';
import { Providers } from './providers.ts';
import { Source } from './source.ts';

/** A deployment: one entry of `model_list`. */
interface Deployment {
  readonly target: string;
  readonly weight: number;
  readonly order: number;
}

/** Everything that is known of the groups while the file is read. */
interface Reading {
  readonly report: Report;
  readonly providers: Providers;
  /** Groups by the name that callers use. */
  readonly groups: Map<string, Deployment[]>;
  readonly prices: Record<string, JsonValue>;
  /** Settings of the whole file that providers have here. */
  readonly common: JsonObject;
}

/** What a LiteLLM proxy's `config.yaml` says, as a configuration of Postern. */
export function importLiteLlm(document: JsonValue): Imported {
  const root = new Source(document);
  const report = new Report();
  const reading: Reading = {
    report,
    providers: new Providers(),
    groups: new Map(),
    prices: {},
    common: commonOf(root, report),
  };
  for (const entry of root.get('model_list').items()) readDeployment(entry, reading);
  const aliases = aliasesOf(root, reading);
  const budgets = budgetsOf(root.get('litellm_settings'), report);
  readServer(root, report);
  report.rest(root);
  const config = present({
    providers: reading.providers.config(),
    aliases,
    identities: { map: [{ key: '*', as: ['tag:key'] }] },
    ...(Object.keys(reading.prices).length === 0 ? {} : { prices: reading.prices }),
    ...(budgets === undefined ? {} : { budgets }),
  });
  return { config, policy: everyKey, files: report.files, notes: report.notes };
}

/** LiteLLM lets every key that was not narrowed call every model. */
const everyKey: JsonObject = {
  tagOwners: { 'tag:gateway': [], 'tag:key': [] },
  grants: [
    {
      src: ['tag:key'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    },
  ],
};

function readDeployment(entry: Source, reading: Reading): void {
  const { report, groups } = reading;
  const name = entry.get('model_name').text();
  const params = entry.get('litellm_params');
  const model = params.get('model').text();
  if (name === undefined || model === undefined) {
    report.lost(entry.at, 'It has no model_name or no litellm_params.model.');
    entry.seen();
    return;
  }
  const found = providerOf(params, model, reading);
  if (found === undefined) {
    entry.seen();
    return;
  }
  const id = reading.providers.add(found.provider, found.model);
  readPrices(entry, `${id}/${found.model}`, reading);
  const info = entry.get('model_info');
  for (const each of ['id', 'mode', 'base_model', 'description', 'db_model', 'created_at'])
    info.get(each).seen();
  report.drop(
    params.get('rpm'),
    'Limits of a deployment: set `maxConcurrent`, or limits for callers.',
  );
  report.drop(
    params.get('tpm'),
    'Limits of a deployment: set `maxConcurrent`, or limits for callers.',
  );
  if (found.model === '*') return;
  const list = groups.get(name) ?? [];
  list.push({
    target: `${id}/${found.model}`,
    weight: weightOf(params.get('weight')),
    order: params.get('order').number() ?? 1,
  });
  groups.set(name, list);
}

function weightOf(source: Source): number {
  const weight = source.number() ?? 1;
  return Math.min(1_000, Math.max(1, Math.round(weight < 1 ? weight * 100 : weight)));
}

function providerOf(
  params: Source,
  text: string,
  { report, common }: Reading,
): { readonly provider: FoundProvider; readonly model: string } | undefined {
  const at = params.get('model').at;
  const slash = text.indexOf('/');
  const named = params.get('custom_llm_provider').text();
  const prefix = named ?? (slash > 0 ? text.slice(0, slash) : vendorOfBareName(text));
  const vendor = prefix === undefined ? undefined : liteLlmVendors[prefix];
  if (prefix === undefined || vendor === undefined) {
    report.lost(at, `${prefix ?? text}: Postern speaks to no such provider.`);
    return undefined;
  }
  const rest = text.startsWith(`${prefix}/`) ? text.slice(prefix.length + 1) : text;
  const baseUrl = baseUrlOf(params.get('api_base'), vendor);
  if (vendor.kind === 'openai' && baseUrl === undefined) {
    report.lost(at, `${prefix} needs an api_base, and there is none.`);
    return undefined;
  }
  if (prefix === 'azure')
    report.changed(at, 'Azure is reached by its /openai/v1 path, whose models are deployments.');
  params.get('api_version').seen();
  const provider: FoundProvider = {
    kind: vendor.kind,
    name: nameOf(prefix, baseUrl, vendor.baseUrl),
    ...(baseUrl === undefined ? {} : { baseUrl }),
    ...keyOf(params, prefix, vendor.env, report),
    ...awsOf(params, report),
    more: { ...common, ...moreOf(params) },
  };
  return { provider, model: vendor.kind === 'bedrock' ? bedrockModel(rest) : rest };
}

/** `bedrock/converse/…`, `bedrock/invoke/…` and a region before the model say how, not what. */
function bedrockModel(text: string): string {
  return text
    .replace(/^(?:converse_like|converse|invoke)\//, '')
    .replace(/^[a-z]{2}-[a-z]+-\d\//, '');
}

function baseUrlOf(
  source: Source,
  { kind, baseUrl, path }: (typeof liteLlmVendors)[string],
): string | undefined {
  const given = source.text()?.replace(/\/+$/, '');
  if (given === undefined || !URL.canParse(given)) return kind === 'openai' ? baseUrl : undefined;
  return path === undefined || given.endsWith(path) ? given : given + path;
}

function nameOf(prefix: string, baseUrl: string | undefined, usual: string | undefined): string {
  if (baseUrl === undefined || baseUrl === usual) return prefix;
  const [label] = new URL(baseUrl).hostname.split('.');
  return prefix === 'openai' ? (label ?? prefix) : prefix;
}

/** `os.environ/NAME` stays a variable; a secret in the file gets a file of its own. */
function keyOf(
  params: Source,
  prefix: string,
  env: string | undefined,
  report: Report,
): { readonly key?: JsonObject } {
  const source = params.get('api_key');
  const text = source.text();
  if (text === undefined) return env === undefined ? {} : { key: { env } };
  const variable = /^os\.environ\/([A-Za-z_]\w*)$/.exec(text)?.[1];
  if (variable !== undefined) return { key: { env: variable } };
  // Servers that want none are given a word that stands for none.
  if (/^(?:none|empty|dummy|fake-key|sk-1234|-)$/i.test(text) && env === undefined) return {};
  return { key: report.secret(prefix, text, source.at) };
}

function awsOf(params: Source, report: Report): Pick<FoundProvider, 'region' | 'profile'> {
  for (const name of ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'])
    report.drop(
      params.get(name),
      'Postern uses the role of the machine, or AWS_… variables and profiles: no AWS key stands in its file.',
    );
  for (const name of ['aws_role_name', 'aws_session_name', 'aws_web_identity_token'])
    report.drop(
      params.get(name),
      'Name a profile that assumes this role (`role_arn` in ~/.aws/config).',
    );
  const region = params.get('aws_region_name').text();
  const profile = params.get('aws_profile_name').text();
  const isName = region !== undefined && /^[a-z0-9-]{1,32}$/.test(region);
  if (region !== undefined && !isName)
    report.changed(params.get('aws_region_name').at, 'The region comes from AWS_REGION.');
  return { ...(isName ? { region } : {}), ...(profile === undefined ? {} : { profile }) };
}

function moreOf(params: Source): JsonObject {
  const totalMs = millis(params.get('timeout').number());
  const firstByteMs = millis(params.get('stream_timeout').number());
  const concurrent = params.get('max_parallel_requests').number();
  const timeouts = present({ firstByteMs, totalMs });
  return present({
    timeouts: Object.keys(timeouts).length === 0 ? undefined : timeouts,
    maxConcurrent: concurrent === undefined ? undefined : Math.max(1, Math.round(concurrent)),
  });
}

function millis(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : Math.min(3_600_000, Math.max(1_000, seconds * 1_000));
}

/** Settings of the router that providers have here. */
function commonOf(root: Source, report: Report): JsonObject {
  const settings = root.get('litellm_settings');
  const router = root.get('router_settings');
  const retries = router.get('num_retries').number() ?? settings.get('num_retries').number();
  settings.get('num_retries').seen();
  const totalMs = millis(
    router.get('timeout').number() ?? settings.get('request_timeout').number(),
  );
  settings.get('request_timeout').seen();
  const failures = router.get('allowed_fails').number() ?? settings.get('allowed_fails').number();
  settings.get('allowed_fails').seen();
  const openMs = millis(
    router.get('cooldown_time').number() ?? settings.get('cooldown_time').number(),
  );
  settings.get('cooldown_time').seen();
  const strategy = router.get('routing_strategy').text();
  if (strategy !== undefined && strategy !== 'simple-shuffle')
    report.changed(
      router.get('routing_strategy').at,
      `${strategy}: Postern shares by weight, and leaves out what fails or is busy.`,
    );
  const breaker = present({
    failures: failures === undefined ? undefined : Math.min(1_000, Math.max(1, failures)),
    openMs,
  });
  return present({
    retry: retries === undefined ? undefined : { times: Math.min(5, Math.max(0, retries)) },
    timeouts: totalMs === undefined ? undefined : { totalMs },
    breaker: Object.keys(breaker).length === 0 ? undefined : breaker,
  });
}

/** Prices for one token, which here are for a million; a number of the file may be 1.5e-07. */
function readPrices(entry: Source, target: string, { prices, report }: Reading): void {
  const from = (name: string): number | undefined =>
    entry.get('litellm_params').get(name).number() ?? entry.get('model_info').get(name).number();
  const rates = present({
    input: perMillion(from('input_cost_per_token')),
    output: perMillion(from('output_cost_per_token')),
    cacheRead: perMillion(from('cache_read_input_token_cost')),
    cacheWrite: perMillion(from('cache_creation_input_token_cost')),
  });
  if (Object.keys(rates).length === 0) return;
  if (rates['input'] === undefined || rates['output'] === undefined) {
    report.lost(entry.at, 'A price needs what input and output cost.');
    return;
  }
  prices[target] = rates;
}

function perMillion(usd: number | undefined): string | undefined {
  if (usd === undefined || usd < 0) return undefined;
  return (usd * 1e6).toFixed(9).replace(/\.?0+$/, '');
}

/** Names of callers for steps of targets: a group first, then the groups that it falls back to. */
function aliasesOf(root: Source, { groups, report }: Reading): JsonObject {
  const router = root.get('router_settings');
  const settings = root.get('litellm_settings');
  const falls = fallbacksOf([router.get('fallbacks'), settings.get('fallbacks')]);
  const always = [
    ...router.get('default_fallbacks').texts(),
    ...settings.get('default_fallbacks').texts(),
  ];
  for (const place of [router, settings])
    for (const name of ['context_window_fallbacks', 'content_policy_fallbacks'])
      report.drop(
        place.get(name),
        'Postern falls back when a target fails, not for what is in a request.',
      );
  const wanted = new Map<string, string>([...groups.keys()].map((name) => [name, name]));
  for (const [alias, to] of router.get('model_group_alias').entries()) {
    const group = to.text() ?? to.get('model').text();
    to.get('hidden').seen();
    if (group !== undefined && groups.has(group)) wanted.set(alias, group);
    else report.lost(to.at, 'It names a group that is not there.');
  }
  const aliases: Record<string, JsonValue> = {};
  const taken = new Set<string>();
  for (const [name, group] of wanted) {
    const id = aliasId(name, taken);
    taken.add(id);
    if (id !== name)
      report.changed(
        `model_name ${name}`,
        `Callers ask for ${id}: aliases are lower case, without / or _.`,
      );
    const chain = [group, ...(falls.get(group) ?? []), ...always];
    const steps = [...new Set(chain)].flatMap((each) => stepsOf(groups.get(each) ?? []));
    aliases[id] = steps.slice(0, 16);
  }
  return aliases;
}

function aliasId(name: string, taken: ReadonlySet<string>): string {
  if (/^[a-z0-9][a-z0-9.-]{0,63}$/.test(name) && !taken.has(name)) return name;
  const plain = name.toLowerCase().replaceAll(/[^a-z0-9.-]+/g, '-');
  return /^[a-z0-9][a-z0-9.-]{0,63}$/.test(plain) && !taken.has(plain)
    ? plain
    : freeId(name, taken, 60);
}

function fallbacksOf(places: readonly Source[]): ReadonlyMap<string, readonly string[]> {
  const falls = new Map<string, readonly string[]>();
  for (const place of places) {
    const maps = [...place.items(), place];
    for (const [name, to] of maps.flatMap((each) => each.entries())) {
      const names = to.texts();
      if (names.length > 0) falls.set(name, names);
    }
  }
  return falls;
}

/** Deployments of one order share by weight; the next order is the next step. */
function stepsOf(list: readonly Deployment[]): JsonValue[] {
  const orders = [...new Set(list.map(({ order }) => order))].toSorted((a, b) => a - b);
  return orders.map((order) => {
    const same = list.filter((each) => each.order === order);
    const weights = new Map<string, number>();
    for (const { target, weight } of same)
      weights.set(target, Math.min(1_000, (weights.get(target) ?? 0) + weight));
    const [first] = weights.keys();
    return weights.size === 1 && first !== undefined ? first : Object.fromEntries(weights);
  });
}

const periods: Readonly<Record<string, string>> = {
  '1d': 'day',
  '24h': 'day',
  '7d': 'week',
  '1w': 'week',
  '30d': 'month',
  '1mo': 'month',
};

function budgetsOf(settings: Source, report: Report): JsonObject | undefined {
  const amount = settings.get('max_budget').number();
  const duration = settings.get('budget_duration').text();
  if (amount === undefined) return undefined;
  const every = duration === undefined ? 'never' : periods[duration];
  if (every === undefined)
    report.changed(
      `litellm_settings.budget_duration`,
      `${duration}: budgets are for a day, a week or a month; this one is for a month.`,
    );
  return { proxy: { usd: String(amount), every: every ?? 'month', per: 'all', match: ['*'] } };
}

/** What a proxy has around its models. */
function readServer(root: Source, report: Report): void {
  const general = root.get('general_settings');
  const master = general.get('master_key');
  if (master.text() !== undefined)
    report.todo(
      master.at,
      'There is no master key: whoever runs Postern administers it (postern key create), and others by a grant of postern.dev/cap/admin.',
    );
  const database = general.get('database_url');
  if (database.text() !== undefined)
    report.todo(
      database.at,
      'Virtual keys, teams and what they spent are in that database. Keys cannot be moved (only their digests are there): make new ones with postern key create.',
    );
  for (const name of ['callbacks', 'success_callback', 'failure_callback', 'service_callbacks'])
    report.drop(
      root.get('litellm_settings').get(name),
      'Postern has metrics, traces (OTLP), an audit log and alerts instead of callbacks.',
    );
  for (const name of ['cache', 'cache_params'])
    report.drop(root.get('litellm_settings').get(name), 'Postern does not keep answers.');
  for (const name of ['drop_params', 'set_verbose', 'json_logs', 'modify_params', 'telemetry'])
    root.get('litellm_settings').get(name).seen();
  report.drop(root.get('guardrails'), 'Postern does not look at what is said.');
  for (const name of ['redis_host', 'redis_port', 'redis_password', 'redis_url'])
    report.drop(
      root.get('router_settings').get(name),
      'Several gateways share Valkey or Redis by `store.valkey` (docs/howto/replicas.md).',
    );
  root.get('router_settings').get('enable_pre_call_checks').seen();
  for (const [name, value] of root.get('environment_variables').entries()) {
    report.todo(value.at, `Set ${name} in the environment of Postern (or LoadCredential=).`);
    value.seen();
  }
}
