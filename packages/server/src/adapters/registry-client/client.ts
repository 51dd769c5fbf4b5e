import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, jsonValueOf, ok, Secret } from '@postern/core/base';
import type { Egress, OutboundRequest } from '../../http/index.ts';

/** How a node shows that it may register. */
export type Credential =
  /** A key made by `postern key create NAME --join TYPE`. */
  | { readonly kind: 'token'; readonly token: Secret }
  /** Through our own mesh proxy, which proves what this machine runs. */
  | { readonly kind: 'mesh'; readonly headers: Readonly<Record<string, string>> };

export interface RegistryClientOptions {
  /** Without a slash at its end. */
  readonly server: URL;
  readonly credential: () => Promise<Result<Credential, string>>;
  readonly egress: Egress;
}

/** Why the registry did not do it. */
export interface RegistryProblem {
  readonly kind: /** No answer, or one that may be another next time. */
    | 'unreachable'
    /** The lease is over, or it never was there. */
    | 'unknown'
    /** It will not, as long as nobody changes something. */
    | 'refused';
  readonly message: string;
}

export interface Invitation {
  readonly loginServer: string | undefined;
  readonly authKey: Secret | undefined;
  readonly whyNoKey: string | undefined;
  /** With a key: what shows at the end that the machine joined by it. Worth nothing without the credential. */
  readonly leaveToken?: string | undefined;
  readonly groupKey: GroupKeyOfType;
}

export interface GroupKeyOfType {
  readonly epoch: number;
  readonly key: Secret;
}

export interface NodeClaim {
  readonly node_type: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly lease_seconds: number;
}

export interface RegistryClient {
  join(request: {
    readonly uuid: string;
    readonly nodeName: string;
    readonly nodeType: string;
    readonly withKey: boolean;
  }): Promise<Result<Invitation, RegistryProblem>>;
  register(uuid: string, claim: NodeClaim): Promise<Result<undefined, RegistryProblem>>;
  heartbeat(
    uuid: string,
    health: { readonly healthy: boolean; readonly why?: string },
  ): Promise<Result<undefined, RegistryProblem>>;
  groupKey(nodeType: string): Promise<Result<GroupKeyOfType, RegistryProblem>>;
  /** With a token of its join, the engine forgets the machine, too; the answer says why where it did not. */
  leave(uuid: string, token?: string): Promise<Result<string | undefined, RegistryProblem>>;
}

const answerBytesMax = 262_144;
const timeouts = {
  connectMs: 5_000,
  firstByteMs: 10_000,
  idleMs: 10_000,
  totalMs: 15_000,
} as const;

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export function createRegistryClient(options: RegistryClientOptions): RegistryClient {
  const call = (method: Method, path: string, body?: JsonObject) =>
    callRegistry(options, { method, path, body });
  const done = async (
    calling: Promise<Result<JsonObject, RegistryProblem>>,
  ): Promise<Result<undefined, RegistryProblem>> => {
    const answer = await calling;
    return answer.ok ? ok(undefined) : answer;
  };
  return {
    join: async ({ uuid, nodeName, nodeType, withKey }) => {
      const answer = await call('POST', '/join', {
        uuid,
        node_name: nodeName,
        node_type: nodeType,
        with_key: withKey,
      });
      return answer.ok ? readInvitation(answer.value) : answer;
    },
    register: (uuid, claim) =>
      done(
        call('PUT', `/nodes/${encodeURIComponent(uuid)}`, {
          ...claim,
          addresses: [...claim.addresses],
          metadata: { ...claim.metadata },
        }),
      ),
    heartbeat: (uuid, { healthy, why }) =>
      done(
        call('POST', `/nodes/${encodeURIComponent(uuid)}/heartbeat`, {
          healthy,
          ...(why === undefined ? {} : { why }),
        }),
      ),
    groupKey: async (nodeType) => {
      const answer = await call('GET', `/types/${encodeURIComponent(nodeType)}/key`);
      return answer.ok ? readGroupKey(answer.value) : answer;
    },
    leave: async (uuid, token) => {
      const body = token === undefined ? undefined : { leave_token: token };
      const left = await call('DELETE', `/nodes/${encodeURIComponent(uuid)}`, body);
      if (left.ok)
        return ok(left.value['device'] === 'kept' ? textOf(left.value['why']) : undefined);
      // It is not there any more, which is what was wanted.
      return left.error.kind === 'unknown' ? ok(undefined) : left;
    },
  };
}

interface Call {
  readonly method: Method;
  readonly path: string;
  readonly body: JsonObject | undefined;
}

async function callRegistry(
  { server, credential, egress }: RegistryClientOptions,
  { method, path, body }: Call,
): Promise<Result<JsonObject, RegistryProblem>> {
  const by = await credential();
  if (!by.ok) return problem('refused', by.error);
  const request: OutboundRequest = {
    method,
    url: new URL(`${server.origin}/api/v1/registry${path}`),
    headers: {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headersOf(by.value),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(timeouts.totalMs),
    timeouts,
    // Whoever runs this machine named the server.
    permission: { internal: true },
  };
  const answer = await egress(request);
  if (!answer.ok) return problem('unreachable', `${server.origin}: ${answer.error.message}`);
  const { status } = answer.value;
  const read = await answer.value.readAll(answerBytesMax);
  if (!read.ok) return problem('unreachable', `${server.origin}: ${read.error.message}`);
  const value = jsonValueOf(Buffer.from(read.value).toString('utf8'));
  if (status === 200 && isJsonObject(value)) return ok(value);
  return refusalOf(status, value, server);
}

function headersOf(by: Credential): Readonly<Record<string, string>> {
  return by.kind === 'token' ? { authorization: `Bearer ${by.token.reveal()}` } : by.headers;
}

function refusalOf(
  status: number,
  value: JsonValue | undefined,
  server: URL,
): Result<never, RegistryProblem> {
  const error = isJsonObject(value) ? value['error'] : undefined;
  const said = isJsonObject(error) ? textOf(error['message']) : textOf(error);
  const what = said ?? `it answered ${status}`;
  if (status === 404 && isJsonObject(error) && error['code'] === 'not_found') {
    // No route is not the same as no node.
    const isRoute = what.includes('There is no /');
    return problem(
      isRoute ? 'refused' : 'unknown',
      isRoute ? `${server.origin} is no registry of Postern (registry.address).` : what,
    );
  }
  if (status === 401) {
    return problem('refused', `The registry does not know this key: ${what}`);
  }
  const mayPass = status === 429 || status >= 500 || status === 408;
  return problem(mayPass ? 'unreachable' : 'refused', what);
}

function readInvitation(answer: JsonObject): Result<Invitation, RegistryProblem> {
  const shared = answer['group_key'];
  const groupKey = isJsonObject(shared) ? readGroupKey(shared) : odd();
  if (!groupKey.ok) return groupKey;
  const authKey = textOf(answer['auth_key']);
  return ok({
    loginServer: textOf(answer['login_server']),
    authKey: authKey === undefined ? undefined : new Secret(authKey),
    whyNoKey: textOf(answer['why_no_key']),
    leaveToken: textOf(answer['leave_token']),
    groupKey: groupKey.value,
  });
}

function readGroupKey({ epoch, key }: JsonObject): Result<GroupKeyOfType, RegistryProblem> {
  const text = textOf(key);
  return typeof epoch === 'number' && text !== undefined
    ? ok({ epoch, key: new Secret(text) })
    : odd();
}

function odd(): Result<never, RegistryProblem> {
  return problem(
    'refused',
    'The answer of the registry cannot be understood: is it another version?',
  );
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function problem(kind: RegistryProblem['kind'], message: string): Result<never, RegistryProblem> {
  return err({ kind, message });
}

/** Puts a key where programs of this machine read it. */
export function writeSecretFile(
  file: string,
  secret: Secret,
  write: (file: string, text: string) => Promise<void>,
): Promise<void> {
  return write(file, `${secret.reveal()}\n`);
}
