import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** Secrets of the form `canary-PLACE-7f3a9c` in what was left behind, each with where it was found. */
export function leaksIn(seen: readonly (readonly [string, Buffer])[]): readonly string[] {
  return seen.flatMap(([name, bytes]) => {
    const found = [...bytes.toString('latin1').matchAll(/canary-[a-z-]+-7f3a9c/g)];
    return [...new Set(found.map(([text]) => `${name}: ${text}`))];
  });
}

/** Every file under these folders with its bytes. */
export async function filesOf(folders: readonly string[]): Promise<readonly [string, Buffer][]> {
  const files = (await Promise.all(folders.map(everyFile))).flat();
  return Promise.all(
    files.map(
      async (file): Promise<[string, Buffer]> => [path.basename(file), await readFile(file)],
    ),
  );
}

async function everyFile(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((each) => each.isFile())
    .map((each) => path.join(each.parentPath, each.name));
}
