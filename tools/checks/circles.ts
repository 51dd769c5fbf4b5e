import path from 'node:path';
import type { SourceFile } from './source-files.ts';

const staticImport = /^(?:import|export)\s[^;']*?from '(\.[^']+)';/gm;

/**
 * Files of packages that import each other in a loop, types included: what two of them share belongs in a third. What is loaded later (`import()`)
 * does not count: it is the way out of a loop that has a reason.
 */
export function circles(files: readonly SourceFile[]): readonly (readonly string[])[] {
  const ours = files.filter(
    ({ path: file }) => file.startsWith('packages/') && !file.endsWith('.test.ts'),
  );
  const known = new Set(ours.map((file) => file.path));
  const imports = new Map(
    ours.map((file) => [file.path, targetsOf(file).filter((target) => known.has(target))]),
  );
  return new Loops(imports).found();
}

function targetsOf({ path: file, text }: SourceFile): readonly string[] {
  return [...text.matchAll(staticImport)].map(([, target = '']) =>
    path.posix.join(path.posix.dirname(file), target),
  );
}

/** Tarjan's strongly connected components, those of more than one file. */
class Loops {
  readonly #imports: ReadonlyMap<string, readonly string[]>;
  readonly #order = new Map<string, number>();
  readonly #open: string[] = [];
  readonly #found: (readonly string[])[] = [];

  constructor(imports: ReadonlyMap<string, readonly string[]>) {
    this.#imports = imports;
  }

  found(): readonly (readonly string[])[] {
    for (const file of this.#imports.keys()) if (!this.#order.has(file)) this.#visit(file);
    return this.#found;
  }

  #visit(file: string): number {
    const own = this.#order.size;
    this.#order.set(file, own);
    this.#open.push(file);
    let lowest = own;
    for (const target of this.#imports.get(file) ?? []) {
      if (!this.#order.has(target)) lowest = Math.min(lowest, this.#visit(target));
      else if (this.#open.includes(target))
        lowest = Math.min(lowest, this.#order.get(target) ?? lowest);
    }
    if (lowest === own) {
      const loop = this.#open.splice(this.#open.indexOf(file));
      if (loop.length > 1) this.#found.push(loop.toSorted());
    }
    return lowest;
  }
}
