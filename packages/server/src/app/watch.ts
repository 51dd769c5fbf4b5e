import { watch } from 'node:fs';
import path from 'node:path';

/** Editors write a file in several steps; the change counts when it has been quiet this long. */
const settleMs = 100;

/**
 * Calls back when the file was changed or replaced. It watches the folder, because an editor or a secret mount puts a
 * new file in place of the old one. A folder that cannot be watched is no error: SIGHUP still works.
 */
export function watchFile(
  file: string,
  onChange: () => void,
  onProblem: (message: string) => void,
): { close(): void } {
  let timer: NodeJS.Timeout | undefined;
  const name = path.basename(file);
  try {
    const watcher = watch(path.dirname(file), { persistent: false }, (_event, changed) => {
      // Kubernetes and systemd swap a link beside the file, so a change of any name may be this one.
      if (changed !== null && changed !== name && !changed.startsWith('..')) return;
      clearTimeout(timer);
      timer = setTimeout(onChange, settleMs);
      timer.unref();
    });
    watcher.on('error', (cause) => {
      onProblem(cause.message);
    });
    return {
      close: () => {
        clearTimeout(timer);
        watcher.close();
      },
    };
  } catch (cause) {
    onProblem(cause instanceof Error ? cause.message : String(cause));
    return { close: () => undefined };
  }
}
