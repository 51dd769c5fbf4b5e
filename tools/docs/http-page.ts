import { apiPrefix, operations } from '@postern/server/control/api';
import { registryApiPrefix, registryOperations } from '@postern/server/control/registry/api';
import { gatewayRoutes } from '@postern/server/gateway';
import { generated, table } from './markdown.ts';

const words: Readonly<Record<string, string>> = {
  '/health': 'Always `{"status":"ok"}` while the process answers.',
  '/healthz': 'The same.',
  '/livez': 'The same.',
  '/readyz':
    '200 while new work is welcome, 503 while shutting down. `?verbose` adds the checks for administrators.',
  '/whoami': 'Who you are to the gateway, and where you are.',
  '/ask':
    '`{"prompt","model"?,"system"?,"stream"?}` → `{"model","latency_ms","answer","usage","request_id"}`.',
  '/v1/chat/completions': 'OpenAI Chat Completions, whole or streamed.',
  '/v1/completions': 'Legacy completions (`prompt` or `input`), also over models that only chat.',
  '/v1/embeddings': 'OpenAI Embeddings.',
  '/v1/responses': 'OpenAI Responses.',
  '/v1/attestation/{id}':
    'The receipt of a request of the caller that an attested provider answered: what was verified about it, signed. For others 404.',
  '/v1/usage': 'Your own limits, balances and use.',
  '/v1/messages': 'Anthropic Messages, whole or streamed.',
  '/v1/messages/count_tokens': 'Exact where the provider counts itself, else an estimate.',
  '/v1/models':
    'What you may call: `provider/model` and aliases. Anthropic form with `anthropic-version`.',
  '/bedrock/model/{id}/invoke': 'Bedrock InvokeModel of Anthropic’s models.',
  '/bedrock/model/{id}/invoke-with-response-stream': 'The same, streamed as AWS event stream.',
  '/bedrock/model/{id}/converse': 'Bedrock Converse.',
  '/bedrock/model/{id}/converse-stream': 'The same, streamed as AWS event stream.',
  '/v1/models/{id}': 'One of them; what you may not call is the same 404 as what does not exist.',
};

/** Routes of the formats' own APIs that client libraries may try. Shown as absent as long as they are. */
const wishes = ['/v1/responses', '/v1/embeddings', '/v1/usage'];

/** The page of routes, from the tables that route. */
export function httpPage(): string {
  const paths = new Set(gatewayRoutes.map(({ path }) => path));
  const absent = wishes.filter((path) => !paths.has(path));
  return [
    '# HTTP',
    '',
    generated,
    '## Gateway',
    '',
    'On the gateway, serve and public listeners, and beside the admin API on the admin listener and the control socket.',
    '',
    ...table(
      ['method', 'path', 'identity', 'what it does'],
      gatewayRoutes.map(({ method, path, identity }) => [
        method,
        `\`${path}\``,
        identity ? 'needed' : 'open',
        wordsFor(path),
      ]),
    ),
    '',
    ...(absent.length === 0
      ? []
      : [
          `Anything else is 404 \`not_found\`. Not served in this version: ${absent.map((path) => `\`${path}\``).join(', ')}.`,
          '',
        ]),
    'Bodies are read as JSON whatever the content type says; a key that stands twice is refused. `Authorization: Bearer`,',
    '`x-api-key` and `api-key` are read for a credential, at most one of which may claim to be ours. There are no CORS',
    'headers. Refusals are in [errors.md](errors.md), bounds in [limits.md](limits.md).',
    '',
    '## Admin',
    '',
    `Under \`${apiPrefix}\` on the control socket (for the user that runs Postern) and on the admin listener (for callers whom`,
    'a grant of `postern.dev/cap/admin` in the policy in force allows it). Schemas are in [openapi.json](openapi.json).',
    '',
    ...table(
      ['operation', 'method', 'path', 'what it does'],
      operations.map(({ name, method, path, summary }) => [
        `\`${name}\``,
        method.toUpperCase(),
        `\`${apiPrefix}${path}\``,
        summary,
      ]),
    ),
    '',
    '## Registry',
    '',
    `Under \`${registryApiPrefix}\` on the control listener (\`registry.address\`), for keys made with \`postern key create NAME --join TYPE\`,`,
    'keys of operators and attested apps. Schemas are in [registry-openapi.json](registry-openapi.json).',
    '',
    ...table(
      ['operation', 'method', 'path', 'what it does'],
      [
        ...registryOperations.map(({ name, method, path, summary }) => [
          `\`${name}\``,
          method,
          `\`${registryApiPrefix}${path}\``,
          summary,
        ]),
        [
          '`registry.watch`',
          'GET',
          `\`${registryApiPrefix}/watch\``,
          'Server-sent events: `joined` for all that is there, `ready`, then `joined`, `updated`, `left` as it happens. `?type=` narrows it.',
        ],
      ],
    ),
    '',
    'Beside it, the routes of DStack VPC with their own shapes: `GET|POST /api/register`, `POST /api/nodes/update`,',
    '`GET /api/discover/{type}`, `GET /api/nodes`, `GET /api/ping`.',
    '',
    'With `mesh.authority`: `POST /api/mesh/certificates` (a join token the first time, then a proof by the renewal key) and',
    '`GET /api/mesh/bundle` (the SPIFFE bundle, open). With `mesh.attestedJoin`: `POST /api/attest/challenge`, `/api/attest/join`,',
    '`/api/attest/bind`, for evidence alone.',
    '',
  ].join('\n');
}

function wordsFor(path: string): string {
  const found = words[path];
  if (found === undefined) throw new Error(`the route ${path} needs words`);
  return found;
}
