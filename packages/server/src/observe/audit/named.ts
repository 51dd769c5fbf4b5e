import { hash } from 'node:crypto';

type Digest = (text: string) => string;

const sha256Hex: Digest = (text) => hash('sha256', text, 'hex');

/**
 * What a caller wrote where a name was expected. Names that we know are written down; of any other text only a digest,
 * since callers put keys, prompts and whatever else into model names and paths. Who has a text to compare finds it.
 */
export function unknownName(text: string, digest: Digest = sha256Hex): string {
  return `sha256:${digest(text).slice(0, 16)}`;
}

/** Routes without a variable part: these are written as they are. */
const plainPaths: ReadonlySet<string> = new Set([
  '/',
  '/ask',
  '/health',
  '/healthz',
  '/livez',
  '/readyz',
  '/whoami',
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/messages',
  '/v1/messages/count_tokens',
  '/v1/models',
  '/v1/responses',
  '/v1/usage',
]);

/** Routes with one: the model that it names is a field of its own. */
const pathPatterns: readonly (readonly [RegExp, string])[] = [
  [/^\/v1\/models\/[^/]+$/, '/v1/models/{id}'],
  [/^\/v1\/attestation\/[^/]+$/, '/v1/attestation/{id}'],
  [
    /^\/bedrock\/model\/[^/]+\/(invoke|invoke-with-response-stream|converse|converse-stream)$/,
    '/bedrock/model/{id}/$1',
  ],
];

/** The route that a path leads to; undefined where it leads nowhere. */
export function knownRoute(path: string): string | undefined {
  if (plainPaths.has(path)) return path;
  for (const [form, name] of pathPatterns) if (form.test(path)) return path.replace(form, name);
  return undefined;
}

/** The route that a path leads to, or a digest of it. */
export function routeName(path: string, digest: Digest = sha256Hex): string {
  return knownRoute(path) ?? unknownName(path, digest);
}
