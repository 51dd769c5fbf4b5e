import type { JsonObject, JsonValue } from '@postern/core/base';
import type { Imported } from './imported.ts';
import { freeId, present, Report } from './imported.ts';
import { Source } from './source.ts';

const capability = 'tailscale.com/cap/aperture';

/** What is known while a configuration is read: our id of a provider, our name of a quota bucket. */
interface Reading {
  readonly report: Report;
  readonly providers: Map<string, string>;
  readonly budgets: Map<string, string>;
}

/** What an Aperture instance's configuration says (tailscale.com/docs/aperture/configuration), as a configuration and a policy of Postern. */
export function importAperture(document: JsonValue): Imported {
  const root = new Source(document);
  const report = new Report();
  const reading: Reading = { report, providers: new Map(), budgets: new Map() };
  const providers = providersOf(root.get('providers'), reading);
  const budgets = budgetsOf(root.get('quotas'), reading);
  const aliases = aliasesOf(root.get('model_aliases'), reading);
  const { grants, tags } = grantsOf(root.get('grants'), reading);
  report.drop(
    root.get('hooks'),
    'Postern calls nobody about a request: grants decide, and the audit log records.',
  );
  report.drop(
    root.get('connectors'),
    'Postern serves models, not connectors; its MCP server is for its own operation.',
  );
  report.drop(
    root.get('mcp'),
    'Postern serves models, not connectors; its MCP server is for its own operation.',
  );
  report.drop(root.get('exporters'), 'Export with postern audit export, traces with telemetry.');
  const retention = root.get('database').get('retention');
  report.drop(
    retention,
    'Conversations are kept only where a grant says "capture": "full", for audit.retentionDays.',
  );
  root.get('auto_cost_basis').seen();
  report.rest(root);
  return {
    config: present({
      providers,
      aliases: Object.keys(aliases).length === 0 ? undefined : aliases,
      budgets: Object.keys(budgets).length === 0 ? undefined : budgets,
    }),
    policy: {
      tagOwners: Object.fromEntries([...new Set(['tag:gateway', ...tags])].map((tag) => [tag, []])),
      grants,
    },
    files: report.files,
    notes: report.notes,
  };
}

function providersOf(source: Source, { report, providers }: Reading): JsonObject {
  const made: Record<string, JsonValue> = {};
  for (const [name, entry] of source.entries()) {
    const baseUrl = entry.get('baseurl').text()?.replace(/\/+$/, '');
    const models = entry.get('models').texts();
    for (const each of ['name', 'description', 'preference', 'cost_basis', 'authorization'])
      entry.get(each).seen();
    if (entry.get('disabled').flag() === true) {
      report.lost(entry.at, 'It was disabled.');
      entry.seen();
      continue;
    }
    const kind = kindOf(entry.get('compatibility'), baseUrl);
    if (kind === undefined || baseUrl === undefined || !URL.canParse(baseUrl)) {
      report.lost(entry.at, 'Postern does not speak the format of this provider.');
      entry.seen();
      continue;
    }
    const id = /^[a-z0-9][a-z0-9-]{0,31}$/.test(name)
      ? name
      : freeId(name, new Set(Object.keys(made)));
    if (id !== name) report.changed(entry.at, `Its id is ${id}: ids are lower case.`);
    providers.set(name, id);
    report.drop(
      entry.get('model_cost_map'),
      'Prices of models are under `prices`, by provider/model.',
    );
    made[id] = present({
      kind,
      ...(kind === 'bedrock'
        ? { region: regionOf(baseUrl) }
        : { baseUrl: kind === 'openai' ? withVersion(baseUrl) : baseUrl }),
      key: kind === 'bedrock' ? bedrockKey(entry, report) : keyOf(id, entry.get('apikey'), report),
      headers: headersOf(entry.get('add_headers'), report),
      models: models.length === 0 ? undefined : [...models],
    });
  }
  return made;
}

/** Chat is on unless the file says otherwise; a server that speaks more than one format is used by the first of ours. */
function kindOf(
  flags: Source,
  baseUrl: string | undefined,
): 'openai' | 'anthropic' | 'bedrock' | undefined {
  const is = (name: string): boolean => flags.get(name).flag() === true;
  const bedrock = [is('bedrock_model_invoke'), is('bedrock_converse')].some(Boolean);
  const isAnthropic = is('anthropic_messages');
  const hasResponses = is('openai_responses');
  const chat = flags.get('openai_chat').flag();
  flags.seen();
  if (bedrock || baseUrl?.includes('bedrock-runtime') === true) return 'bedrock';
  if (chat === true || hasResponses) return 'openai';
  if (isAnthropic) return 'anthropic';
  const isGoogle = [
    'gemini_generate_content',
    'google_generate_content',
    'google_raw_predict',
  ].some(is);
  return chat === false || isGoogle ? undefined : 'openai';
}

function withVersion(baseUrl: string): string {
  return /\/v\d+\w*(?:\/openai)?$/.test(baseUrl) ? baseUrl : `${baseUrl}/v1`;
}

function regionOf(baseUrl: string): string | undefined {
  return /bedrock-runtime\.([a-z0-9-]+)\./.exec(baseUrl)?.[1];
}

function bedrockKey(entry: Source, report: Report): undefined {
  report.drop(
    entry.get('apikey'),
    'Postern signs for Bedrock with the role of the machine: no key is needed.',
  );
  return undefined;
}

function keyOf(id: string, source: Source, report: Report): JsonObject | undefined {
  const text = source.text();
  if (text === undefined || text === '-' || text === '') return undefined;
  const variable = /^\$\{?([A-Za-z_]\w*)\}?$/.exec(text)?.[1];
  return variable === undefined ? report.secret(id, text, source.at) : { env: variable };
}

/** Headers as `Name: value` texts or as an object; credentials among them stay out. */
function headersOf(source: Source, report: Report): JsonObject | undefined {
  const pairs = [
    ...source.items().flatMap((item) => {
      const [name = '', ...rest] = (item.text() ?? '').split(':');
      return rest.length === 0 ? [] : [[name.trim(), rest.join(':').trim()] as const];
    }),
    ...source.entries().flatMap(([name, value]) => {
      if (/^\d+$/.test(name)) return [];
      return [[name, value.text() ?? ''] as const];
    }),
  ];
  const safe = pairs.filter(([name]) => {
    const isSecret = /auth|key|token|secret|cookie/i.test(name);
    if (isSecret)
      report.lost(source.at, `${name}: credentials are no headers here; give the provider a key.`);
    return !isSecret && /^[A-Za-z0-9-]+$/.test(name);
  });
  return safe.length === 0 ? undefined : Object.fromEntries(safe);
}

const daysOf: Readonly<Record<string, readonly [period: string, times: number]>> = {
  min: ['day', 1_440],
  minute: ['day', 1_440],
  hour: ['day', 24],
  day: ['day', 1],
  week: ['week', 1],
  month: ['month', 1],
};

/** Token buckets: what comes in is the budget of a period, steadily; a capacity above it cannot be saved up. */
function budgetsOf(source: Source, { report, budgets }: Reading): JsonObject {
  const made: Record<string, JsonValue> = {};
  for (const [bucket, entry] of source.entries()) {
    const capacity = dollarsOf(entry.get('capacity').text());
    const rate = /^\$?([\d.]+)\/(\w+)$/.exec(entry.get('rate').text() ?? '');
    const period = daysOf[rate?.[2] ?? ''];
    const exceed = entry.get('on_exceed').text() ?? 'reject';
    const amount = period === undefined ? capacity : Number(rate?.[1]) * period[1];
    if (capacity === undefined || amount === undefined || !Number.isFinite(amount)) {
      report.lost(entry.at, 'The quota has no amount that can be read.');
      entry.seen();
      continue;
    }
    const name = freeId(bucket.replaceAll(/<\w+>/g, ''), new Set(Object.keys(made)), 60);
    budgets.set(bucket, name);
    const per = bucket.includes('<user>') ? 'user' : bucket.includes('<node>') ? 'node' : 'all';
    made[name] = present({
      usd: dollars(amount),
      every: period?.[0] ?? 'never',
      refill: period === undefined ? undefined : 'steady',
      per,
    });
    if (period !== undefined && capacity !== amount)
      report.changed(
        entry.at,
        `${name} holds at most what comes in within a ${period[0]} ($${dollars(amount)}), not $${dollars(capacity)}.`,
      );
    if (exceed !== 'reject')
      report.changed(entry.get('on_exceed').at, `${exceed}: a budget that is used up refuses.`);
  }
  return made;
}

function dollarsOf(text: string | undefined): number | undefined {
  const amount = /^\$?(\d+(?:\.\d+)?)$/.exec(text ?? '')?.[1];
  return amount === undefined ? undefined : Number(amount);
}

function dollars(amount: number): string {
  return amount.toFixed(9).replace(/0+$/, '').replace(/\.$/, '');
}

function aliasesOf(source: Source, { report, providers }: Reading): JsonObject {
  const made: Record<string, JsonValue> = {};
  source.get('strategy').seen();
  for (const [name, entry] of source.get('models').entries()) {
    entry.get('strategy').seen();
    const steps = entry
      .get('dst')
      .texts()
      .flatMap((target) => {
        const slash = target.indexOf('/');
        const id = providers.get(target.slice(0, slash));
        if (id === undefined) report.lost(entry.at, `${target}: that provider is not there.`);
        return id === undefined ? [] : [`${id}${target.slice(slash)}`];
      });
    if (steps.length === 0) continue;
    const alias = /^[a-z0-9][a-z0-9.-]{0,63}$/.test(name)
      ? name
      : freeId(name, new Set(Object.keys(made)), 60);
    if (alias !== name)
      report.changed(entry.at, `Callers ask for ${alias}: aliases are lower case.`);
    if (steps.length > 1)
      report.changed(
        entry.at,
        'Its destinations are tried in order when one fails: here the list is a chain of retries.',
      );
    made[alias] = steps.slice(0, 16);
  }
  return made;
}

/** Objects of one grant add up there; here each is complete by itself, so those of a grant become one. */
function grantsOf(
  source: Source,
  reading: Reading,
): { readonly grants: JsonValue[]; readonly tags: readonly string[] } {
  const tags = new Set<string>();
  const grants = source.items().flatMap((grant): JsonValue[] => {
    const src = grant
      .get('src')
      .texts()
      .flatMap((selector) => sourceOf(selector, grant, reading));
    for (const each of src) if (each.startsWith('tag:')) tags.add(each);
    grant.get('dst').seen();
    grant.get('ip').seen();
    const app = appOf(grant.get('app'), reading);
    if (src.length === 0 || Object.keys(app).length === 0) {
      reading.report.lost(grant.at, 'It grants nothing that Postern has.');
      return [];
    }
    return [{ src, dst: ['tag:gateway'], app }];
  });
  return { grants, tags: [...tags] };
}

/** A joined list of tags was one caller there; here a machine has each of its tags. */
function sourceOf(selector: string, grant: Source, { report }: Reading): readonly string[] {
  if (selector === '(loopback)') {
    report.lost(grant.at, '(loopback): whoever runs Postern is mapped under identities.');
    return [];
  }
  const tags = selector.split(',').filter((each) => each.startsWith('tag:'));
  if (tags.length > 1) {
    report.changed(
      grant.at,
      `${selector}: each of these tags is enough now, not all of them together.`,
    );
    return tags;
  }
  if (selector === '*') return ['*'];
  return [selector];
}

function appOf(source: Source, { report, budgets }: Reading): JsonObject {
  const models: string[] = [];
  const charged = new Set<string>();
  let isAdmin = false;
  for (const object of source.get(capability).items()) {
    isAdmin ||= object.get('role').text() === 'admin';
    models.push(...object.get('models').texts());
    for (const quota of object.get('quotas').items()) {
      const bucket = quota.get('bucket').text() ?? '';
      const name = budgets.get(bucket);
      if (name === undefined) report.lost(quota.at, `${bucket}: there is no such quota.`);
      else charged.add(name);
    }
    for (const name of [
      'send_hooks',
      'connectors',
      'mcp_tools',
      'mcp_resources',
      'mcp_templates',
      'add_headers',
      'enable_chat_ui',
      'read_metrics',
      'filterable_headers',
    ])
      report.drop(object.get(name), 'Postern has no such part of a grant.');
  }
  for (const [name] of source.entries())
    if (name !== capability)
      report.drop(
        source.get(name),
        'A capability of another program: kept only by hooks, which Postern has not.',
      );
  return present({
    'postern.dev/cap/ai':
      models.length === 0
        ? undefined
        : [present({ models, budgets: charged.size === 0 ? undefined : [...charged] })],
    'postern.dev/cap/admin': isAdmin ? [{ tools: ['*'] }] : undefined,
  });
}
