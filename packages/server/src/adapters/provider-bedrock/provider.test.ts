import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { dialectNamed } from '@postern/core/dialect';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type FakeIdentitySource,
  type GivenIdentity,
  startFakeContainerAgent,
  startFakeMetadata,
  startFakeSts,
} from '../../../../../test/fakes/aws-identity.ts';
import {
  type FakeBedrock,
  region,
  startFakeBedrock,
  staticKey,
} from '../../../../../test/fakes/bedrock.ts';
import type { Provider } from '../../gateway/index.ts';
import { createEgress } from '../egress-socket/index.ts';
import { bedrockEndpoints } from './endpoints.ts';
import { createBedrockProvider } from './index.ts';

let bedrock: FakeBedrock;
let folder: string;
const sources: FakeIdentitySource[] = [];
const way = createEgress();
const saved = { ...process.env };
const timeouts = { connectMs: 1_000, firstByteMs: 5_000, idleMs: 5_000, totalMs: 5_000 };
let now = Date.now();

beforeAll(async () => {
  bedrock = await startFakeBedrock();
  folder = await mkdtemp(path.join(tmpdir(), 'postern-aws-'));
});
afterAll(async () => {
  await way.close();
  await bedrock.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  now = Date.now();
  bedrock.forget();
  // Nothing of the machine that the tests run on.
  for (const name of Object.keys(process.env))
    if (name.startsWith('AWS_')) delete process.env[name];
  process.env['HOME'] = folder;
});
afterEach(async () => {
  process.env = { ...saved };
  bedrock.identities.clear();
  bedrock.identities.set(staticKey.id, { secret: staticKey.secret });
  await Promise.all(sources.splice(0).map((source) => source.close()));
});

async function started(source: Promise<FakeIdentitySource>): Promise<FakeIdentitySource> {
  const one = await source;
  sources.push(one);
  return one;
}

function provider(extra: { readonly profile?: string; readonly maxOutputTokens?: number } = {}) {
  return createBedrockProvider({
    id: 'bedrock',
    region,
    profile: extra.profile,
    endpoint: bedrock.url,
    sendsUnlisted: false,
    caPem: undefined,
    timeouts,
    maxOutputTokens: extra.maxOutputTokens,
    env: {},
    nowMs: () => now,
    egress: way.egress,
  });
}

function identity(name: string, minutes = 60): GivenIdentity {
  return {
    id: `ASIA${name}`,
    secret: `secret-${name}`,
    token: `token-${name}`,
    expiresAt: new Date(Date.now() + minutes * 60_000),
  };
}

/** The key that a call was signed with, or why there was none. */
async function signedBy(by: Provider): Promise<string | undefined> {
  bedrock.expect({ pieces: ['{}'] });
  const answer = await by.call({
    dialect: dialectNamed('bedrock-converse'),
    path: '/model/m%3A0/converse',
    body: '{"messages":[]}',
    headers: {},
    signal: AbortSignal.timeout(10_000),
  });
  if (!answer.ok) return answer.error.message;
  await answer.value.readAll(1_000);
  return answer.value.status === 200 ? bedrock.calls.at(-1)?.accessKeyId : undefined;
}

function know(...list: readonly GivenIdentity[]): void {
  bedrock.identities.clear();
  for (const { id, secret, token } of list) bedrock.identities.set(id, { secret, token });
}

describe('credentials come from', () => {
  test('the instance role, by IMDSv2 alone', async () => {
    const imds = await started(startFakeMetadata(region));
    process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] = imds.url;
    imds.give(identity('A'));
    know(identity('A'));
    expect(await signedBy(provider())).toBe('ASIAA');
    expect(imds.asked[0]).toBe('PUT /latest/api/token');
    expect(imds.asked.filter((each) => each.startsWith('PUT'))).toHaveLength(1);
  });

  test('the agent of a container', async () => {
    const agent = await started(startFakeContainerAgent('container-canary'));
    process.env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = `${agent.url}/v1/credentials`;
    process.env['AWS_CONTAINER_AUTHORIZATION_TOKEN'] = 'container-canary';
    agent.give(identity('C'));
    know(identity('C'));
    expect(await signedBy(provider())).toBe('ASIAC');
  });

  test('a web identity, exchanged at STS', async () => {
    const sts = await started(startFakeSts('web-token-canary'));
    const file = path.join(folder, 'web-token');
    await writeFile(file, 'web-token-canary');
    Object.assign(process.env, {
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/gateway',
      AWS_ENDPOINT_URL_STS: sts.url,
      AWS_REGION: region,
    });
    sts.give(identity('W'));
    know(identity('W'));
    expect(await signedBy(provider())).toBe('ASIAW');
  });

  test('variables, and a profile of the shared files', async () => {
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: staticKey.id,
      AWS_SECRET_ACCESS_KEY: staticKey.secret,
    });
    expect(await signedBy(provider())).toBe(staticKey.id);
    const file = path.join(folder, 'credentials');
    process.env['AWS_SHARED_CREDENTIALS_FILE'] = file;
    await writeFile(
      file,
      '[team]\naws_access_key_id = AKIATEAM\naws_secret_access_key = team-secret\n',
    );
    bedrock.identities.set('AKIATEAM', { secret: 'team-secret' });
    expect(await signedBy(provider({ profile: 'team' }))).toBe('AKIATEAM');
  });

  test('nowhere: the caller learns that it is the gateway’s matter, and no metadata address is dialled', async () => {
    expect(await signedBy(provider())).toMatch(
      /^Provider "bedrock": no AWS credentials were found/,
    );
    // This machine's firmware does not say EC2, or the test would have found a role.
    expect(process.env['AWS_EC2_METADATA_DISABLED']).toBe('true');
  });
});

describe('credentials are renewed', () => {
  test('five minutes before they end, without a restart', async () => {
    const agent = await started(startFakeContainerAgent('t'));
    process.env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = `${agent.url}/v1/credentials`;
    process.env['AWS_CONTAINER_AUTHORIZATION_TOKEN'] = 't';
    const by = provider();
    agent.give(identity('1', 4));
    know(identity('1'), identity('2'));
    expect(await signedBy(by)).toBe('ASIA1');
    agent.give(identity('2', 60));
    // The next call begins the renewal; those meanwhile still have what is valid.
    await expect.poll(() => signedBy(by)).toBe('ASIA2');
    const { length } = agent.asked;
    expect(await signedBy(by)).toBe('ASIA2');
    expect(agent.asked).toHaveLength(length);
  });

  test('at once where Bedrock says that they ran out, and the same request is signed again', async () => {
    const agent = await started(startFakeContainerAgent('t'));
    process.env['AWS_CONTAINER_CREDENTIALS_FULL_URI'] = `${agent.url}/v1/credentials`;
    process.env['AWS_CONTAINER_AUTHORIZATION_TOKEN'] = 't';
    const by = provider();
    agent.give(identity('1'));
    know(identity('1'));
    expect(await signedBy(by)).toBe('ASIA1');
    now += 10_000;
    agent.give(identity('2'));
    know(identity('2'));
    expect(await signedBy(by)).toBe('ASIA2');
  });

  test('from a file that was changed, within a minute', async () => {
    const file = path.join(folder, 'rotated');
    process.env['AWS_SHARED_CREDENTIALS_FILE'] = file;
    const text = (id: string) =>
      `[default]\naws_access_key_id = ${id}\naws_secret_access_key = s\n`;
    bedrock.identities.set('AKIA1', { secret: 's' });
    bedrock.identities.set('AKIA2', { secret: 's' });
    await writeFile(file, text('AKIA1'));
    const by = provider();
    expect(await signedBy(by)).toBe('AKIA1');
    await writeFile(file, text('AKIA2'));
    expect(await signedBy(by)).toBe('AKIA1');
    now += 60_000;
    expect(await signedBy(by)).toBe('AKIA2');
  });
});

describe('models are listed', () => {
  const models = {
    modelSummaries: [
      { modelId: 'anthropic.a-v1:0', inferenceTypesSupported: ['ON_DEMAND'] },
      { modelId: 'anthropic.only-by-profile-v1:0', inferenceTypesSupported: ['INFERENCE_PROFILE'] },
      { modelId: '' },
      'nonsense',
    ],
  };
  const signedIn = () =>
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: staticKey.id,
      AWS_SECRET_ACCESS_KEY: staticKey.secret,
    });
  const listed = async (by: Provider) => {
    const list = await by.list(AbortSignal.timeout(5_000));
    return list.ok ? list.value : list.error;
  };

  test('those on demand and inference profiles, over all pages', async () => {
    signedIn();
    bedrock.expect(
      { path: '/foundation', pieces: [JSON.stringify(models)] },
      {
        path: '/inference',
        pieces: [
          JSON.stringify({
            inferenceProfileSummaries: [
              { inferenceProfileId: 'eu.anthropic.a-v1:0', type: 'SYSTEM_DEFINED' },
            ],
            nextToken: 'a/b=',
          }),
        ],
      },
      {
        path: '/inference',
        pieces: [
          JSON.stringify({
            inferenceProfileSummaries: [
              {
                inferenceProfileArn: 'arn:aws:bedrock:eu:1:application-inference-profile/x',
                type: 'APPLICATION',
              },
            ],
          }),
        ],
      },
    );
    expect(await listed(provider({ maxOutputTokens: 99 }))).toEqual(
      [
        'anthropic.a-v1:0',
        'eu.anthropic.a-v1:0',
        'arn:aws:bedrock:eu:1:application-inference-profile/x',
      ].map((id) => ({ id, maxOutputTokens: 99 })),
    );
    expect(
      bedrock.calls
        .slice(-3)
        .map(({ path: each }) => each)
        .toSorted(),
    ).toEqual([
      '/foundation-models?byOutputModality=TEXT',
      '/inference-profiles?maxResults=1000',
      '/inference-profiles?maxResults=1000&nextToken=a%2Fb%3D',
    ]);
    expect(bedrock.refused).not.toContain('the signature does not match');
  });

  test('without profiles where the role may not see them', async () => {
    signedIn();
    bedrock.expect(
      { path: '/foundation', pieces: [JSON.stringify(models)] },
      { path: '/inference', status: 403, pieces: ['{}'] },
    );
    expect(await listed(provider())).toEqual([{ id: 'anthropic.a-v1:0' }]);
  });

  test('not at all where the role may see neither, and the refusal names the permission', async () => {
    signedIn();
    bedrock.expect({ status: 403, pieces: ['{}'] }, { status: 403, pieces: ['{}'] });
    expect(await listed(provider())).toMatchObject({
      code: 'upstream_credential',
      message: expect.stringContaining('bedrock:ListFoundationModels'),
    });
  });
});

test('addresses: the region’s own, those of variables, the configured one', () => {
  const at = (endpoint: string | undefined, env: Record<string, string> = {}, of = region) =>
    bedrockEndpoints({ region: of, endpoint, env });
  expect(at(undefined)).toEqual({
    runtime: `https://bedrock-runtime.${region}.amazonaws.com`,
    control: `https://bedrock.${region}.amazonaws.com`,
  });
  expect(at(undefined, {}, 'cn-north-1').runtime).toBe(
    'https://bedrock-runtime.cn-north-1.amazonaws.com.cn',
  );
  const vpce = `https://vpce-1.bedrock-runtime.${region}.vpce.amazonaws.com/`;
  expect(at(vpce)).toEqual({
    runtime: vpce.slice(0, -1),
    control: `https://bedrock.${region}.amazonaws.com`,
  });
  expect(at('http://10.0.0.9:4566/')).toEqual({
    runtime: 'http://10.0.0.9:4566',
    control: 'http://10.0.0.9:4566',
  });
  expect(
    at(undefined, {
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: 'https://a.example',
      AWS_ENDPOINT_URL_BEDROCK: 'https://b.example',
    }),
  ).toEqual({ runtime: 'https://a.example', control: 'https://b.example' });
});
