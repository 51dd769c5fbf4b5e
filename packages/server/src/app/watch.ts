import type { FSWatcher } from 'node:fs';
import { lstatSync, readlinkSync, watch } from 'node:fs';
import path from 'node:path';
import { messageOf } from '@postern/core/base';

/** Writers change a file in several steps; the change counts when it has been quiet this long. */
const settleMs = 100;
/** Longer chains of links are a loop or a mistake. */
const linksMax = 8;

export interface Watch {
  close(): void;
}

/**
 * Calls back when what a path leads to was changed or replaced. It watches folders, because editors and secret mounts
 * put a new file in place of the old one, and every folder in which a link on the way lies, because those are swapped
 * too. A folder that cannot be watched is no error: it is said once, and a signal still works.
 */
export function watchFile(
  file: string,
  onChange: () => void,
  onProblem: (message: string) => void,
): Watch {
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | undefined;

  function changed(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // A link may lead elsewhere now.
      follow();
      onChange();
    }, settleMs);
    timer.unref();
  }

  function follow(): void {
    const wanted = new Map<string, Set<string>>();
    for (const step of stepsOf(file)) {
      const folder = path.dirname(step);
      wanted.set(folder, (wanted.get(folder) ?? new Set()).add(path.basename(step)));
    }
    for (const watcher of watchers.values()) watcher.close();
    watchers.clear();
    for (const [folder, names] of wanted) watchFolder(folder, names);
  }

  function watchFolder(folder: string, names: ReadonlySet<string>): void {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name === null || names.has(name)) changed();
      });
      watcher.on('error', (cause) => onProblem(cause.message));
      watchers.set(folder, watcher);
    } catch (cause) {
      onProblem(messageOf(cause));
    }
  }

  follow();
  return {
    close: () => {
      clearTimeout(timer);
      for (const watcher of watchers.values()) watcher.close();
    },
  };
}

/** Every path whose replacement changes what `file` leads to: its own parts, and those of the links among them. */
function stepsOf(file: string): readonly string[] {
  const steps: string[] = [];
  let links = 0;
  let rest = path.resolve(file);
  while (links <= linksMax) {
    const link = firstLink(rest);
    if (link === undefined) break;
    links += 1;
    steps.push(link.at);
    const target = path.resolve(path.dirname(link.at), link.to);
    rest = path.join(target, path.relative(link.at, rest));
  }
  return [...steps, rest];
}

/** The outermost part of a path that is a link, and what it says. */
function firstLink(file: string): { readonly at: string; readonly to: string } | undefined {
  const { root } = path.parse(file);
  let at = root;
  for (const part of file.slice(root.length).split(path.sep)) {
    at = path.join(at, part);
    try {
      if (lstatSync(at).isSymbolicLink()) return { at, to: readlinkSync(at) };
    } catch {
      return undefined;
    }
  }
  return undefined;
}
