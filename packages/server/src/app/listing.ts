import type { ModelCatalog } from '../gateway/index.ts';
import type { Logger } from '../observe/index.ts';

/**
 * Lists the models of all providers, and waits for that no longer than `msMax`: lists that take longer arrive in the
 * background. A provider that cannot be listed is one line and no reason to wait.
 */
export async function listModels(
  catalog: ModelCatalog,
  msMax: number,
  logger: Logger,
): Promise<void> {
  const listed = catalog.refresh(new AbortController().signal).then(() => {
    for (const { provider, place, problem } of catalog.states()) {
      if (problem !== undefined)
        logger.warn({ provider, place, problem: problem.message }, 'models not listed');
    }
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, msMax);
  });
  await Promise.race([listed, late]);
  clearTimeout(timer);
}
