/** The admin API against its own description: what is said to be accepted is, and what comes back is what was said. */
import http from 'node:http';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fc from 'fast-check';
import { openApiDocument, operations } from '@postern/server/control/api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { granting, startGateway, type TestGateway } from '../conformance/gateway.ts';
import type { Schema } from './json-schema.ts';
import { schemaOf, valuesOf } from './json-schema.ts';

/** Requests of each kind to an operation; more by `POSTERN_FUZZ`. */
const runs = Math.min(200, Math.max(12, Number(process.env['POSTERN_FUZZ'] ?? 0)));

let running: TestGateway;
let document: Schema;
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);

beforeAll(async () => {
  running = await startGateway({
    config: {
      budgets: { team: { usd: 10, every: 'month', match: ['*'] } },
      engine: {
        url: 'http://127.0.0.1:8090',
        address: '127.0.0.1:0',
        stunAddress: 'off',
        derpAddress: 'off',
      },
    },
    policy: granting({ 'tag:key': { models: ['**'] } }),
  });
  const served = await call({ method: 'GET', path: '/api/v1/openapi.json' });
  document = schemaOf(JSON.parse(served.text));
}, 60_000);
afterAll(() => running.stop(), 60_000);

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

function call({ method, path: route, body }: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socketPath = path.join(running.stateDir, 'run', 'control.sock');
    const headers = { host: 'localhost', 'content-length': Buffer.byteLength(body ?? '') };
    const request = http.request(
      { socketPath, method, path: route, headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => (text += piece));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** One operation as the description has it. */
interface Described {
  readonly method: string;
  readonly path: string;
  readonly params: readonly { name: string; in: string; required: boolean; schema: Schema }[];
  readonly body: Schema | undefined;
  readonly responses: Schema;
}

function described(name: string): Described {
  for (const [route, methods] of Object.entries(schemaOf(document['paths']))) {
    for (const [method, each] of Object.entries(schemaOf(methods))) {
      const operation = schemaOf(each);
      if (operation['operationId'] !== name) continue;
      const sent = operation['requestBody'];
      const params = Array.isArray(operation['parameters']) ? operation['parameters'] : [];
      return {
        method: method.toUpperCase(),
        path: route,
        params: params.map((param: unknown) => {
          const it = schemaOf(param);
          return {
            name: String(it['name']),
            in: String(it['in']),
            required: it['required'] === true,
            schema: schemaOf(it['schema']),
          };
        }),
        body: sent === undefined ? undefined : jsonSchemaOf(schemaOf(sent)),
        responses: schemaOf(operation['responses']),
      };
    }
  }
  throw new Error(`${name} is not described`);
}

function jsonSchemaOf(holder: Schema): Schema {
  const content = schemaOf(holder['content']);
  return schemaOf(schemaOf(content['application/json'])['schema']);
}

/** Requests that the description allows. */
function requestsTo(operation: Described): fc.Arbitrary<Call> {
  const parts = operation.params.map(({ name, in: place, required, schema }) => {
    const values = valuesOf(schema, document).map((value) => ({ name, place, value }));
    return required ? values : fc.option(values, { nil: undefined });
  });
  const body =
    operation.body === undefined ? fc.constant(undefined) : valuesOf(operation.body, document);
  return fc.tuple(fc.tuple(...parts), body).map(([params, content]) => {
    let route = operation.path;
    const query = new URLSearchParams();
    for (const param of params) {
      if (param === undefined) continue;
      const text = String(param.value);
      // An empty segment would be another path; encoded dots and slashes are refused by the listener, whatever they mean.
      const segment = text.replaceAll(/[./\\%\p{Cc}]/gu, '');
      if (param.place === 'path')
        route = route.replace(
          `{${param.name}}`,
          encodeURIComponent(segment === '' ? 'x' : segment),
        );
      else query.set(param.name, text);
    }
    const search = query.toString();
    return {
      method: operation.method,
      path: search === '' ? route : `${route}?${search}`,
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
    };
  });
}

/** Says what is wrong with an answer; undefined where it is as described. */
function flawOf(operation: Described, answer: Answer): string | undefined {
  const said = operation.responses[String(answer.status)];
  if (said === undefined) return `status ${answer.status} is not described: ${answer.text}`;
  if (answer.status >= 500 && answer.status !== 503) return answer.text;
  if (answer.headers['content-type'] !== 'application/json') return 'the content type';
  if (answer.headers['cache-control'] !== 'no-store') return 'the answer may be kept';
  const schema = { ...jsonSchemaOf(schemaOf(said)), components: document['components'] };
  const validate = ajv.compile(schema);
  if (validate(JSON.parse(answer.text))) return undefined;
  return `${ajv.errorsText(validate.errors)}: ${answer.text}`;
}

describe('the admin API as it is described', () => {
  test('serves the description that the reference page has', () => {
    expect(document).toEqual(openApiDocument());
    expect(operations.map(({ name }) => described(name).path)).toHaveLength(operations.length);
  });

  for (const { name, body } of operations) {
    test(`${name}: answers described requests with described answers`, async () => {
      const operation = described(name);
      await fc.assert(
        fc.asyncProperty(requestsTo(operation), async (request) => {
          const answer = await call(request);
          const flaw = flawOf(operation, answer);
          if (flaw !== undefined) throw new Error(`${JSON.stringify(request)}: ${flaw}`);
        }),
        { numRuns: runs },
      );
    }, 120_000);

    test(`${name}: refuses what is not described`, async () => {
      const operation = described(name);
      const [sample] = fc.sample(requestsTo(operation), { numRuns: 1, seed: 7 });
      if (sample === undefined) throw new Error('no request');
      const strange = sample.path.includes('?') ? '&' : '?';
      const withBody = ['{"a":1,"a":2}', '{"strange_member":1}', '[]', '{'];
      const refusedCalls: Call[] = [
        { ...sample, path: `${sample.path}${strange}strange_parameter=1` },
        // A GET with a body is refused by the listener, before anybody knows whose it is.
        ...(operation.method === 'GET' ? [] : withBody.map((each) => ({ ...sample, body: each }))),
      ];
      for (const each of refusedCalls) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other says which
        const answer = await call(each);
        expect([each, answer.status], answer.text).toEqual([each, 400]);
        expect(flawOf(operation, answer)).toBeUndefined();
      }
      expect(body === undefined).toBe(operation.body === undefined);
    });
  }
});
