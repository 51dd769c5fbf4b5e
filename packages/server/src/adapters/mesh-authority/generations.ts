import { readdir } from 'node:fs/promises';
import { Fault, fromBase64, isJsonObject, jsonValueOf, Secret, toBase64 } from '@postern/core/base';
import type { AuthorityStore, StoredGeneration } from './ports.ts';
import { makeFolder, readOwn, writeNew } from './files.ts';

const namePattern = /^\d{6}\.json$/;

/** Keeps the generations of an authority: `000001.json` and so on. None is ever changed. */
export function generationFolder(dir: string): AuthorityStore {
  return {
    load: async () => {
      await makeFolder(dir);
      const names = (await readdir(dir)).filter((name) => namePattern.test(name)).toSorted();
      return Promise.all(names.map((name) => readGeneration(`${dir}/${name}`)));
    },
    append: async (generation, count) => {
      const name = `${String(count + 1).padStart(6, '0')}.json`;
      return writeNew(dir, name, `${JSON.stringify(documentOf(generation))}\n`);
    },
  };
}

function documentOf(generation: StoredGeneration): Readonly<Record<string, unknown>> {
  const { publishedAt, signsFrom, notAfter, certificate, privateKey } = generation;
  return {
    published_at: publishedAt,
    signs_from: signsFrom,
    not_after: notAfter,
    certificate: toBase64(certificate),
    private_key: privateKey.reveal(),
  };
}

async function readGeneration(file: string): Promise<StoredGeneration> {
  const value = jsonValueOf((await readOwn(file)) ?? '');
  if (value !== undefined && isJsonObject(value)) {
    const { published_at: publishedAt, signs_from: signsFrom, not_after: notAfter } = value;
    const { certificate, private_key: key } = value;
    const der = typeof certificate === 'string' ? fromBase64(certificate) : undefined;
    if (
      typeof publishedAt === 'number' &&
      typeof signsFrom === 'number' &&
      typeof notAfter === 'number' &&
      der !== undefined &&
      typeof key === 'string'
    ) {
      const privateKey = new Secret(key);
      return { publishedAt, signsFrom, notAfter, certificate: der, privateKey };
    }
  }
  throw new Fault(`${file} is damaged: it holds no key of the mesh's authority`);
}
