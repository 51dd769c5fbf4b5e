import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { ProviderConfig, SecretSource } from '@postern/core/contract';
import type { DialectName } from '@postern/core/dialect';
import type { ModelInfo } from '@postern/core/routing';
import { builtinProviderId, createBuiltinProvider } from '../adapters/provider-builtin/index.ts';
import type { HttpProviderKind } from '../adapters/provider-http/index.ts';
import { anthropicKind, openaiKind } from '../adapters/provider-http/index.ts';
import { secretReader } from '../adapters/secrets/index.ts';
import { refuse } from '@postern/core/errors';
import type { Provider } from '../gateway/index.ts';
import type { Egress } from '../http/index.ts';
import { authoritiesOf, readCa } from './authorities.ts';
import type { Discovery } from './registry/places.ts';
import { discoveredPlaces, withPlaces } from './registry/places.ts';
import { rulesOf } from './routing-rules.ts';
import { wayOf } from './way-out.ts';

export interface ProviderSet {
  readonly providers: readonly Provider[];
  /** Names that the configuration fixes: these providers are not asked for a list. */
  readonly fixedModels: ReadonlyMap<string, readonly ModelInfo[]>;
}

export interface ProviderSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly egress: Egress;
  /** Where instances of a type are; absent: there is no registry. */
  readonly discovery?: Discovery | undefined;
  /** The way out to an upstream that proves what it is. Absent: only a running gateway judges it, and nothing is sent. */
  readonly attestedEgress?: AttestedEgress | undefined;
}

export type AttestedEgress = (
  id: string,
  config: Exclude<ProviderConfig, { kind: 'builtin' | 'bedrock' }>,
) => Promise<Result<Egress, string>>;

const openaiBaseUrl = 'https://api.openai.com/v1';

/** What the vendors' own addresses are: these have no permission to lead to an internal address. */
const vendorBaseUrls: ReadonlySet<string> = new Set([openaiBaseUrl, 'https://api.anthropic.com']);

const anyModel = '*';

export async function createProviders(
  configured: Readonly<Record<string, ProviderConfig>>,
  surroundings: ProviderSurroundings,
): Promise<Result<ProviderSet, string>> {
  const providers: Provider[] = [];
  const fixedModels = new Map<string, readonly ModelInfo[]>();
  for (const [id, config] of Object.entries(configured)) {
    if (config.kind === 'builtin') continue;
    const made =
      config.kind === 'bedrock'
        ? await createBedrock(id, config, surroundings)
        : await createOne(id, config, surroundings);
    if (!made.ok) return made;
    providers.push({ ...made.value, rules: rulesOf(config, surroundings) });
    const fixed = fixedOf(config);
    if (fixed !== undefined) fixedModels.set(id, fixed);
  }
  // Always there, and last: a fresh machine has something to talk to, and no detected model hides behind it.
  providers.push(createBuiltinProvider(surroundings.nowMs));
  fixedModels.set(builtinProviderId, [{ id: 'eliza', maxOutputTokens: 256 }]);
  return ok({ providers, fixedModels });
}

type BedrockConfig = Extract<ProviderConfig, { kind: 'bedrock' }>;
type HttpConfig = Exclude<ProviderConfig, { kind: 'builtin' | 'bedrock' }>;

function fixedOf(config: HttpConfig | BedrockConfig): readonly ModelInfo[] | undefined {
  if (config.models === undefined) return undefined;
  const cap = config.maxOutputTokens;
  return config.models
    .filter((model) => model !== anyModel)
    .map((id) => (cap === undefined ? { id } : { id, maxOutputTokens: cap }));
}

interface KindRow {
  readonly kind: HttpProviderKind;
  dialects(config: HttpConfig): readonly DialectName[];
  countsTokens(config: HttpConfig): boolean;
}

const kinds: Readonly<Record<HttpConfig['kind'], KindRow>> = {
  openai: {
    kind: openaiKind,
    dialects: (config) => (config.kind === 'openai' ? openaiDialects(config) : []),
    countsTokens: () => false,
  },
  anthropic: {
    kind: anthropicKind,
    dialects: () => ['anthropic-messages'],
    countsTokens: (config) => config.kind === 'anthropic' && config.countTokens,
  },
};

/** Few servers have responses of their own; where nothing is said, only OpenAI itself is believed to. */
function openaiDialects(config: Extract<HttpConfig, { kind: 'openai' }>): readonly DialectName[] {
  const isOpenai = withoutSlash(config.baseUrl) === openaiBaseUrl;
  const usual = ['chat', 'completions', 'embeddings'] as const;
  const api = config.api ?? (isOpenai ? ([...usual, 'responses'] as const) : usual);
  return api.map((each) => `openai-${each}` as const);
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}

async function createOne(
  id: string,
  config: HttpConfig,
  { env, nowMs, egress: plainEgress, discovery, attestedEgress }: ProviderSurroundings,
): Promise<Result<Provider, string>> {
  const isAttested = config.attested !== undefined;
  const egress = isAttested ? await attestedWay(id, config, attestedEgress) : ok(plainEgress);
  if (!egress.ok) return egress;
  const authorities = await authoritiesOf(config.caFile, nowMs);
  if (!authorities.ok) return err(`provider "${id}": ${authorities.error}`);
  const row = kinds[config.kind];
  const found = discoveredPlaces(config, discovery);
  const made = withPlaces(found, {
    id,
    kind: row.kind,
    baseUrl: found?.baseUrl ?? config.baseUrl,
    dialects: row.dialects(config),
    sendsUnlisted: config.models?.includes(anyModel) ?? false,
    countsTokens: row.countsTokens(config),
    key: keyReader(config.key, { env, nowMs, egress: plainEgress }),
    headers: lowerCased(config.headers ?? {}),
    authorities: authorities.value,
    way: wayOf(config.via, { env, nowMs, egress: plainEgress }),
    timeouts: config.timeouts,
    maxOutputTokens: config.maxOutputTokens,
    internal: found !== undefined || !vendorBaseUrls.has(withoutSlash(config.baseUrl)),
    healthPath: config.health?.path,
    egress: egress.value,
  });
  return ok(isAttested ? { ...made, attested: true } : made);
}

async function attestedWay(
  id: string,
  config: HttpConfig,
  attestedEgress: AttestedEgress | undefined,
): Promise<Result<Egress, string>> {
  const { discover, via, caFile } = config;
  if (discover !== undefined || via !== 'direct' || caFile !== undefined) {
    return err(`provider "${id}": attested goes with a baseUrl alone: no discover, via or caFile`);
  }
  if (attestedEgress !== undefined) return attestedEgress(id, config);
  const nobody = refuse('egress_refused', 'Only a running gateway judges this upstream.');
  return ok(() => Promise.resolve(nobody));
}

/** Without a region there is no address; which one it is decides where prompts are read. */
async function createBedrock(
  id: string,
  config: BedrockConfig,
  { env, nowMs, egress }: ProviderSurroundings,
): Promise<Result<Provider, string>> {
  const caPem = await readCa(config.caFile);
  if (!caPem.ok) return err(`provider "${id}": ${caPem.error}`);
  const { createBedrockProvider, bedrockRegion } = await import(
    '../adapters/provider-bedrock/index.ts'
  );
  const region = config.region ?? (await bedrockRegion(env, config.profile));
  if (region === undefined)
    return err(`provider "${id}": no region is named; set "region" or AWS_REGION`);
  return ok(
    createBedrockProvider({
      id,
      region,
      profile: config.profile,
      endpoint: config.endpoint,
      sendsUnlisted: config.models?.includes(anyModel) ?? false,
      caPem: caPem.value,
      timeouts: config.timeouts,
      maxOutputTokens: config.maxOutputTokens,
      env,
      nowMs,
      egress,
    }),
  );
}

function keyReader(source: SecretSource | undefined, surroundings: ProviderSurroundings) {
  return source === undefined ? undefined : secretReader(source, surroundings);
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}
