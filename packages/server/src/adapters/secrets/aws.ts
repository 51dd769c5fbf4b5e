import type { JsonObject, Result } from '@postern/core/base';
import { isJsonObject, jsonObjectOf, ok, readJson, Secret } from '@postern/core/base';
import type { SecretSource } from '@postern/core/contract';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Egress } from '../../http/index.ts';
import type { AwsCredentials } from '../aws/index.ts';
import { createAwsCredentials, createAwsSigner, namedRegion } from '../aws/index.ts';
import type { SecretReader } from './secret-reader.ts';

export type AwsSource = Extract<SecretSource, { awsSecret: string } | { awsParameter: string }>;

export interface AwsSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nowMs: () => number;
  readonly egress: Egress;
}

/** A rotated secret counts within this time; AWS bills each read. */
const rememberMs = 60_000;
/** How long the last good text counts while AWS cannot be asked. */
const staleMsMax = 3_600_000;
const answerBytesMax = 262_144;
const timeouts = { connectMs: 3_000, firstByteMs: 5_000, idleMs: 5_000, totalMs: 10_000 } as const;

interface AwsCall {
  readonly service: 'secretsmanager' | 'ssm';
  readonly target: string;
  readonly body: JsonObject;
  readonly read: (answer: JsonObject) => string | undefined;
}

/** A secret of AWS Secrets Manager or a parameter of Systems Manager, read with the machine's own role. */
export function awsReader(source: AwsSource, surroundings: AwsSurroundings): SecretReader {
  const call = callOf(source);
  const credentials = createAwsCredentials({ nowMs: surroundings.nowMs });
  let good: { readonly secret: Secret; readonly atMs: number } | undefined;
  let inFlight: Promise<Result<Secret, Refusal>> | undefined;
  return () => {
    if (good !== undefined && surroundings.nowMs() - good.atMs < rememberMs)
      return Promise.resolve(ok(good.secret));
    inFlight ??= fetchSecret(source, call, { ...surroundings, credentials })
      .then((fresh) => {
        if (fresh.ok) good = { secret: fresh.value, atMs: surroundings.nowMs() };
        else if (good !== undefined && surroundings.nowMs() - good.atMs < staleMsMax)
          return ok(good.secret);
        return fresh;
      })
      .finally(() => {
        inFlight = undefined;
      });
    return inFlight;
  };
}

export function describeAwsSource(source: AwsSource): string {
  return 'awsSecret' in source
    ? `AWS secret ${source.awsSecret}`
    : `AWS parameter ${source.awsParameter}`;
}

function callOf(source: AwsSource): AwsCall {
  if ('awsParameter' in source) {
    return {
      service: 'ssm',
      target: 'AmazonSSM.GetParameter',
      body: { Name: source.awsParameter, WithDecryption: true },
      read: (answer) => {
        const parameter = answer['Parameter'];
        return isJsonObject(parameter) ? textOf(parameter['Value']) : undefined;
      },
    };
  }
  const { field } = source;
  return {
    service: 'secretsmanager',
    target: 'secretsmanager.GetSecretValue',
    body: { SecretId: source.awsSecret },
    read: (answer) => {
      const text = textOf(answer['SecretString']);
      return field === undefined || text === undefined ? text : textOf(jsonObjectOf(text)?.[field]);
    },
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

async function fetchSecret(
  source: AwsSource,
  call: AwsCall,
  surroundings: AwsSurroundings & { readonly credentials: AwsCredentials },
): Promise<Result<Secret, Refusal>> {
  const { env } = surroundings;
  const what = describeAwsSource(source);
  const region = source.region ?? (await namedRegion(env));
  if (region === undefined)
    return refuse(
      'upstream_credential',
      `${what}: no region is named; set "region" or AWS_REGION.`,
    );
  const url = endpointOf(call, region, env);
  const body = JSON.stringify(call.body);
  const signer = createAwsSigner({ ...surroundings, service: call.service, region });
  const headers = await signer.sign({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': call.target },
    body,
  });
  if (!headers.ok) return refuse('upstream_credential', `${what}: ${headers.error}`);
  const answer = await surroundings.egress({
    method: 'POST',
    url,
    headers: headers.value,
    body,
    signal: AbortSignal.timeout(timeouts.totalMs),
    timeouts,
    // AWS's own addresses, or the one that the operator's variable names; in a VPC both are often private.
    permission: { internal: true },
  });
  if (!answer.ok) return answer;
  const bytes = await answer.value.readAll(answerBytesMax);
  if (!bytes.ok) return bytes;
  const parsed = readJson(bytes.value);
  const object = parsed.ok && isJsonObject(parsed.value) ? parsed.value : {};
  if (answer.value.status !== 200) {
    const kind = textOf(object['__type'])?.replace(/^.*#/, '') ?? `status ${answer.value.status}`;
    return refuse('upstream_credential', `${what} cannot be read (${kind}).`);
  }
  const text = call.read(object);
  return text === undefined
    ? refuse('upstream_credential', `${what} holds no text.`)
    : ok(new Secret(text));
}

/** The SDK's own variables name another endpoint, for VPC endpoints and tests. */
function endpointOf(call: AwsCall, region: string, env: AwsSurroundings['env']): URL {
  const variable =
    call.service === 'ssm' ? 'AWS_ENDPOINT_URL_SSM' : 'AWS_ENDPOINT_URL_SECRETS_MANAGER';
  const named = env[variable] ?? env['AWS_ENDPOINT_URL'];
  return new URL(named ?? `https://${call.service}.${region}.amazonaws.com/`);
}
