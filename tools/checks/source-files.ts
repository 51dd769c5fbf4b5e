import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

export const root: string = path.resolve(import.meta.dirname, '../..');

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** Files that git tracks or would track, by ending. */
export function sourceFiles(...endings: readonly string[]): readonly SourceFile[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '-z'],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1_048_576 },
  );
  return listed
    .split('\0')
    .filter((file) => file !== '' && endings.some((ending) => file.endsWith(ending)))
    .flatMap((file) => {
      try {
        return [{ path: file, text: readFileSync(path.join(root, file), 'utf8') }];
      } catch {
        // Listed but deleted in the work tree.
        return [];
      }
    });
}

const importPattern =
  /^[ \t]*import\s+(?:[\w$*{}\s,]+?\s+from\s+)?['"]([^'"\n]+)['"]|^[ \t]*export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/gm;

/** Everything that a file imports or re-exports, as written. */
export function importsOf(text: string): readonly string[] {
  return [...text.matchAll(importPattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
}
