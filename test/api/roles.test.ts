/** Who may do what on the admin listener: every role on every route by every method, from the table of operations. */
import http from 'node:http';
import { apiPrefix, operations } from '@postern/server/control/api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keysAsTags, startGateway, type TestGateway } from '../conformance/gateway.ts';

/** Roles and the operations that policy grants each; `reader` has a grant and a key that is not one for administration. */
const grants = {
  reader: ['**'],
  stranger: undefined,
  keys: ['key.*'],
  auditor: ['audit.*', '*.list', '*.show'],
  admin: ['*'],
} as const;
type Role = keyof typeof grants;
// The keys of the table above, which is a literal.
const roles = Object.keys(grants) as Role[];

let running: TestGateway;
const secrets = new Map<Role, string>();
beforeAll(async () => {
  running = await startGateway({
    config: { identities: keysAsTags(...roles) },
    policy: JSON.stringify({
      tagOwners: Object.fromEntries([...roles, 'gateway'].map((role) => [`tag:${role}`, []])),
      grants: roles.flatMap((role) => {
        const tools = grants[role];
        if (tools === undefined) return [];
        const app = { 'postern.dev/cap/admin': [{ tools }] };
        return [{ src: [`tag:${role}`], dst: ['tag:gateway'], app }];
      }),
    }),
  });
  for (const role of roles) {
    // oxlint-disable-next-line no-await-in-loop -- each is written to the journal
    secrets.set(role, await running.key(role, { admin: role !== 'reader' }));
  }
}, 60_000);
afterAll(() => running.stop(), 60_000);

/** What a role may do, by the globs of its grant: said here once more, so that the matrix has a judge of its own. */
function may(role: Role, operation: string): boolean {
  if (role === 'reader') return false;
  const tools: readonly string[] = grants[role] ?? [];
  return tools.some((glob) => {
    const [group = '', verb = ''] = glob.split('.');
    const [itsGroup = '', itsVerb = ''] = operation.split('.');
    if (!glob.includes('.')) return glob === '*' || glob === '**';
    return (group === '*' || group === itsGroup) && (verb === '*' || verb === itsVerb);
  });
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const paths = [...new Set(operations.map(({ path }) => path))];

interface Answer {
  readonly status: number;
  readonly allow: string | undefined;
  readonly body: string;
}

function call(method: string, path: string, role: Role | undefined): Promise<Answer> {
  const url = `http://${running.address('admin')}${apiPrefix}${path.replaceAll(/\{\w+\}/g, 'none')}`;
  const secret = role === undefined ? undefined : secrets.get(role);
  const headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (body += piece));
      response.on('end', () => {
        const { allow } = response.headers;
        resolve({ status: response.statusCode ?? 0, allow, body });
      });
    });
    request.on('error', reject);
    // Of an operation that changes things, only one that refuses its input is asked.
    request.end(['POST', 'PUT', 'PATCH', 'DELETE'].includes(method) ? '{"no_such_member":1}' : '');
  });
}

describe('the admin listener', () => {
  test.each(paths)(
    '%s: is for those whom policy allows it, by the methods that it has',
    async (path) => {
      for (const method of methods) {
        const operation = operations.find(
          (each) =>
            each.path === path &&
            each.method.toUpperCase() === (method === 'HEAD' ? 'GET' : method),
        );
        // oxlint-disable-next-line no-await-in-loop -- one after the other says which
        const unknown = await call(method, path, undefined);
        expect([method, unknown.status], unknown.body).toEqual([method, 401]);
        for (const role of roles) {
          // oxlint-disable-next-line no-await-in-loop -- as above
          const { status, allow, body } = await call(method, path, role);
          const where = `${role} ${method} ${path}: ${status} ${body}`;
          if (operation === undefined) {
            expect([403, 404, 405], where).toContain(status);
            if (status === 405) expect(allow, where).toMatch(/^[A-Z, ]+$/);
          } else if (may(role, operation.name)) {
            expect([401, 403, 405, 500], where).not.toContain(status);
          } else {
            expect(status, where).toBe(403);
          }
        }
      }
    },
  );
});
