import http from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createEgress } from '../egress-socket/index.ts';
import { secretReader } from './index.ts';

interface Call {
  readonly target: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}

const calls: Call[] = [];
let answer: { status: number; body: string } = { status: 200, body: '{}' };
let server: http.Server;
let url = '';
let now = 0;
const way = createEgress();
const saved = { ...process.env };

beforeAll(async () => {
  // Literal credentials of the environment come first in the chain: nothing else is asked for any.
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'canary-secret-access-key',
  });
  server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => {
      body += piece.toString('utf8');
    });
    request.on('end', () => {
      calls.push({
        target: String(request.headers['x-amz-target']),
        authorization: request.headers.authorization,
        body,
      });
      response
        .writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.1' })
        .end(answer.body);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // A TCP server has an address with a port.
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(async () => {
  process.env = saved;
  await way.close();
  server.close();
});
beforeEach(() => {
  calls.length = 0;
  now = 0;
});

const surroundings = () => ({
  env: { AWS_REGION: 'eu-north-1', AWS_ENDPOINT_URL: url },
  nowMs: () => now,
  egress: way.egress,
});

async function text(reader: ReturnType<typeof secretReader>): Promise<string> {
  const read = await reader();
  return read.ok ? read.value.reveal() : `refused: ${read.error.message}`;
}

test('a secret is read by a signed call of the right service and region, once a minute', async () => {
  answer = { status: 200, body: '{"SecretString":"sk-from-aws"}' };
  const reader = secretReader({ awsSecret: 'team/openai' }, surroundings());
  expect(await Promise.all([text(reader), text(reader)])).toEqual(['sk-from-aws', 'sk-from-aws']);
  expect(calls).toHaveLength(1);
  expect(calls[0]).toMatchObject({
    target: 'secretsmanager.GetSecretValue',
    body: '{"SecretId":"team/openai"}',
  });
  expect(calls[0]?.authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-north-1\/secretsmanager\/aws4_request, /,
  );
  answer = { status: 200, body: '{"SecretString":"sk-rotated"}' };
  now = 59_999;
  expect(await text(reader)).toBe('sk-from-aws');
  now = 60_000;
  expect(await text(reader)).toBe('sk-rotated');
});

test('one field of a JSON secret, and a decrypted parameter', async () => {
  answer = { status: 200, body: JSON.stringify({ SecretString: '{"openai":"sk-1","other":"x"}' }) };
  expect(await text(secretReader({ awsSecret: 's', field: 'openai' }, surroundings()))).toBe(
    'sk-1',
  );
  expect(await text(secretReader({ awsSecret: 's', field: 'none' }, surroundings()))).toMatch(
    /holds no text/,
  );
  answer = { status: 200, body: '{"Parameter":{"Value":"sk-2"}}' };
  expect(await text(secretReader({ awsParameter: '/team/key' }, surroundings()))).toBe('sk-2');
  expect(calls.at(-1)).toMatchObject({
    target: 'AmazonSSM.GetParameter',
    body: '{"Name":"/team/key","WithDecryption":true}',
  });
});

test('while AWS cannot be asked the last good text counts for an hour, then it is refused by name', async () => {
  answer = { status: 200, body: '{"SecretString":"sk-good"}' };
  const reader = secretReader({ awsSecret: 's' }, surroundings());
  expect(await text(reader)).toBe('sk-good');
  answer = {
    status: 400,
    body: '{"__type":"com.amazonaws#AccessDeniedException","message":"no canary-secret-access-key"}',
  };
  now = 3_599_999;
  expect(await text(reader)).toBe('sk-good');
  now = 3_600_000;
  expect(await text(reader)).toBe('refused: AWS secret s cannot be read (AccessDeniedException).');
});

test('without a region it says so, before any call', async () => {
  const reader = secretReader(
    { awsSecret: 's' },
    { ...surroundings(), env: { AWS_ENDPOINT_URL: url } },
  );
  expect(await text(reader)).toMatch(/no region is named/);
  expect(calls).toHaveLength(0);
});
