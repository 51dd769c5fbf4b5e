import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeIdentitySource, startFakeMetadata } from '../../../../test/fakes/aws-identity.ts';
import { metadataEndpoint } from '../adapters/aws/index.ts';
import { createEgress } from '../adapters/egress-socket/index.ts';
import { detectProviders } from './detect.ts';

const way = createEgress();
let imds: FakeIdentitySource;
let home: string;

beforeAll(async () => {
  imds = await startFakeMetadata('eu-test-1');
  home = await mkdtemp(path.join(tmpdir(), 'postern-detect-'));
});
afterAll(async () => {
  await way.close();
  await imds.close();
  await rm(home, { recursive: true, force: true });
});

async function found(env: Record<string, string>) {
  const detection = await detectProviders({
    env: { HOME: home, ...env },
    egress: way.egress,
    ownPort: 8_080,
  });
  const bedrock = detection.detected.find(({ id }) => id === 'bedrock');
  return { from: bedrock?.from, config: bedrock?.config, problems: detection.problems };
}

const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'canary' };

test.each([
  ['AWS_ACCESS_KEY_ID', { ...keys, AWS_REGION: 'eu-north-1' }],
  ['AWS_PROFILE', { AWS_PROFILE: 'team', AWS_DEFAULT_REGION: 'eu-north-1' }],
  [
    'AWS_WEB_IDENTITY_TOKEN_FILE',
    {
      AWS_WEB_IDENTITY_TOKEN_FILE: '/t',
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/r',
      AWS_REGION: 'eu-north-1',
    },
  ],
  [
    'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
    { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '/v2/credentials/x', AWS_REGION: 'eu-north-1' },
  ],
])('%s is the trace of credentials, and bedrock the provider of its region', async (from, env) => {
  expect(await found(env)).toMatchObject({
    from,
    config: { kind: 'bedrock', region: 'eu-north-1' },
    problems: [],
  });
});

test('credentials without a region are named with what is missing, and no secret', async () => {
  const { config, problems } = await found(keys);
  expect(config).toBeUndefined();
  expect(problems).toEqual([
    'AWS credentials (AWS_ACCESS_KEY_ID): no region is named; set AWS_REGION',
  ]);
});

test('the shared files of the AWS tools count, with the region of their profile', async () => {
  const [credentials, config] = [path.join(home, 'creds'), path.join(home, 'config')];
  await writeFile(credentials, '[default]\naws_access_key_id = a\naws_secret_access_key = b\n');
  await writeFile(config, '[profile other]\nregion = us-west-2\n[default]\nregion = eu-south-1\n');
  const env = { AWS_SHARED_CREDENTIALS_FILE: credentials, AWS_CONFIG_FILE: config };
  expect(await found(env)).toMatchObject({
    from: credentials,
    config: { kind: 'bedrock', region: 'eu-south-1' },
  });
  expect(await found({ ...env, AWS_PROFILE: 'other' })).toMatchObject({
    config: { kind: 'bedrock', region: 'us-west-2' },
  });
});

test('an instance tells its region by IMDSv2, and a secret of its role is not read to find out', async () => {
  expect(await found({ AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url })).toMatchObject({
    from: 'the role of this instance',
    config: { kind: 'bedrock', region: 'eu-test-1' },
  });
  expect(imds.asked).toContain('PUT /latest/api/token');
  expect(imds.asked).not.toContain('GET /latest/meta-data/iam/security-credentials/gateway-role');
  const { length } = imds.asked;
  const off = { AWS_EC2_METADATA_DISABLED: 'true' };
  await found({ AWS_EC2_METADATA_SERVICE_ENDPOINT: imds.url, ...off });
  expect(imds.asked).toHaveLength(length);
});

test('the metadata address is asked only where the firmware says EC2', async () => {
  expect(await metadataEndpoint({}, home)).toBeUndefined();
  await writeFile(path.join(home, 'sys_vendor'), 'QEMU\n');
  await writeFile(path.join(home, 'product_uuid'), '4c4c4544-0031\n');
  expect(await metadataEndpoint({}, home)).toBeUndefined();
  await writeFile(path.join(home, 'sys_vendor'), 'Amazon EC2\n');
  expect(await metadataEndpoint({}, home)).toBe('http://169.254.169.254');
  await writeFile(path.join(home, 'sys_vendor'), 'Xen\n');
  await writeFile(path.join(home, 'product_uuid'), 'EC2E1916-9099-7CAF\n');
  expect(await metadataEndpoint({}, home)).toBe('http://169.254.169.254');
});

test('nothing of AWS: no provider and no problem', async () => {
  expect(await found({})).toMatchObject({ config: undefined, problems: [] });
});
