import { stat } from 'node:fs/promises';
import { isJsonObject, readJson } from '@postern/core/base';
import type { ProviderConfig } from '@postern/core/contract';
import {
  describeInstance,
  isSet,
  metadataEndpoint,
  namedRegion,
  profileFiles,
} from '../adapters/aws/index.ts';
import type { Egress } from '../http/index.ts';
import { isLoopbackPortOpen } from '../http/index.ts';

/** A provider that was found without configuration, and by what. */
export interface Detected {
  readonly id: string;
  readonly config: ProviderConfig;
  readonly from: string;
}

export interface Detection {
  readonly detected: readonly Detected[];
  /** What was named but cannot be used, in a sentence each. */
  readonly problems: readonly string[];
}

export interface DetectOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly egress: Egress;
  /** Our own port: what answers there is ourselves. */
  readonly ownPort: number;
}

/** Where local model servers listen when nobody tells them otherwise. */
const localServers = [
  { id: 'ollama', name: 'Ollama', port: 11_434 },
  { id: 'vllm', name: 'vLLM', port: 8_000 },
  { id: 'llamacpp', name: 'llama.cpp', port: 8_080 },
  { id: 'lmstudio', name: 'LM Studio', port: 1_234 },
] as const;

/**
 * `up` waits for it. Where nobody listens that is known at once, and who listens answers in a few milliseconds, or in a
 * second while the machine is busy starting everything.
 */
const probeMsMax = 1_500;
const listBytesMax = 4_194_304;

/** What was found, before it is known to make a provider: a variable may hold anything. */
interface Candidate {
  readonly id: string;
  readonly from: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/**
 * Finds providers in zero-config: variables first (an operator's word), then local servers on their usual ports. The
 * probes run at the same time and only to loopback.
 */
export async function detectProviders(options: DetectOptions): Promise<Detection> {
  const probes = localServers
    .filter(({ port }) => port !== options.ownPort)
    .map(async ({ id, name, port }): Promise<Candidate | undefined> => {
      const baseUrl = `http://127.0.0.1:${port}/v1`;
      const isThere =
        (await isLoopbackPortOpen(port, probeMsMax)) &&
        (await answersModelList(baseUrl, options.egress));
      return isThere
        ? { id, from: `${name} on 127.0.0.1:${port}`, input: { kind: 'openai', baseUrl } }
        : undefined;
    });
  const [amazon, ...found] = await Promise.all([bedrock(options), ...probes]);
  const candidates = [...fromEnvironment(options.env), ...(amazon.candidate ?? []), ...found];
  const judged = await judge(candidates.filter((each) => each !== undefined));
  return { ...judged, problems: [...judged.problems, ...amazon.problems] };
}

/**
 * Credentials of AWS by their traces alone: nothing of the SDK is loaded, and nobody is asked but the metadata service
 * of a machine whose firmware says EC2.
 */
async function bedrock({ env, egress }: DetectOptions): Promise<{
  readonly candidate?: readonly Candidate[];
  readonly problems: readonly string[];
}> {
  const from = awsVariable(env) ?? (await awsFile(env));
  const endpoint = from === undefined ? await metadataEndpoint(env) : undefined;
  const instance = endpoint === undefined ? undefined : await describeInstance(endpoint, egress);
  const source = from ?? (instance === undefined ? undefined : 'the role of this instance');
  if (source === undefined) return { problems: [] };
  const region = (await namedRegion(env)) ?? instance?.region;
  if (region === undefined)
    return { problems: [`AWS credentials (${source}): no region is named; set AWS_REGION`] };
  return {
    candidate: [{ id: 'bedrock', from: source, input: { kind: 'bedrock', region } }],
    problems: [],
  };
}

function awsVariable(env: DetectOptions['env']): string | undefined {
  if (isSet(env['AWS_ACCESS_KEY_ID']) && isSet(env['AWS_SECRET_ACCESS_KEY']))
    return 'AWS_ACCESS_KEY_ID';
  if (isSet(env['AWS_WEB_IDENTITY_TOKEN_FILE']) && isSet(env['AWS_ROLE_ARN']))
    return 'AWS_WEB_IDENTITY_TOKEN_FILE';
  return [
    'AWS_PROFILE',
    'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
    'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  ].find((name) => isSet(env[name]));
}

async function awsFile(env: DetectOptions['env']): Promise<string | undefined> {
  const { credentials } = profileFiles(env);
  const facts = await stat(credentials).catch(() => undefined);
  return facts?.isFile() === true && facts.size > 0 ? credentials : undefined;
}

async function judge(candidates: readonly Candidate[]): Promise<Detection> {
  if (candidates.length === 0) return { detected: [], problems: [] };
  const { providerSchema } = await import('@postern/core/contract');
  const detected: Detected[] = [];
  const problems: string[] = [];
  for (const { id, from, input } of candidates) {
    const parsed = providerSchema.safeParse(input);
    if (parsed.success) detected.push({ id, from, config: parsed.data });
    // Never the value itself: an address may hold a password.
    else if (parsed.error.issues.some(({ path }) => path[0] === 'baseUrl'))
      problems.push(`${from}: write it as http://HOST:PORT/v1`);
    else problems.push(`${from}: ${parsed.error.issues[0]?.message ?? 'not usable'}`);
  }
  return { detected, problems };
}

function fromEnvironment(env: DetectOptions['env']): Candidate[] {
  const list: Candidate[] = [];
  const baseUrl = env['PROVIDER_BASE_URL'];
  if (isSet(baseUrl)) {
    const key = isSet(env['PROVIDER_API_KEY']) ? { key: { env: 'PROVIDER_API_KEY' } } : {};
    list.push({
      id: 'upstream',
      from: 'PROVIDER_BASE_URL',
      input: { kind: 'openai', baseUrl, ...key },
    });
  }
  for (const { id, kind, variable } of vendorKeys) {
    if (isSet(env[variable]))
      list.push({ id, from: variable, input: { kind, key: { env: variable } } });
  }
  return list;
}

const vendorKeys = [
  { id: 'openai', kind: 'openai', variable: 'OPENAI_API_KEY' },
  { id: 'anthropic', kind: 'anthropic', variable: 'ANTHROPIC_API_KEY' },
] as const;

/** An OpenAI-compatible server lists its models without a credential; anything else on the port is something else. */
async function answersModelList(baseUrl: string, egress: Egress): Promise<boolean> {
  const answer = await egress({
    method: 'GET',
    url: new URL(`${baseUrl}/models`),
    headers: { accept: 'application/json' },
    signal: AbortSignal.timeout(probeMsMax),
    timeouts: {
      connectMs: probeMsMax,
      firstByteMs: probeMsMax,
      idleMs: probeMsMax,
      totalMs: probeMsMax,
    },
    permission: { internal: true },
  });
  if (!answer.ok) return false;
  if (answer.value.status !== 200) {
    answer.value.cancel();
    return false;
  }
  const bytes = await answer.value.readAll(listBytesMax);
  if (!bytes.ok) return false;
  const parsed = readJson(bytes.value);
  return parsed.ok && isJsonObject(parsed.value) && Array.isArray(parsed.value['data']);
}
