import type { PathFacts } from '../dialect.ts';

/** The two operations of a format: `/model/{id}/converse` and `/model/{id}/converse-stream`, and the like. */
export interface Operations {
  readonly whole: string;
  readonly stream: string;
}

/** Ids hold colons, and those of inference profiles slashes; both are written by code, as Amazon's own clients do. */
export function modelPath(operations: Operations, model: string, stream: boolean): string {
  return `/model/${encodeURIComponent(model)}/${stream ? operations.stream : operations.whole}`;
}

/** Some clients leave slashes of the id as they are, so that the id is what stands before the last one. */
export function readModelPath(operations: Operations, path: string): PathFacts | undefined {
  const parts = /^\/model\/(.+)\/([a-z-]+)$/.exec(path);
  const operation = parts?.[2];
  if (operation !== operations.whole && operation !== operations.stream) return undefined;
  const model = decoded(parts?.[1] ?? '');
  return model === undefined ? undefined : { model, stream: operation === operations.stream };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
