import { Fault, isJsonObject, jsonValueOf } from '@postern/core/base';
import type { AttestedJoin, JoinStore } from '../../mesh/index.ts';
import { makeFolder, readOwn, writeNew } from './files.ts';

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** Keeps for which evidence each registration key was given, a file each. */
export async function openJoinFolder(dir: string): Promise<JoinStore> {
  await makeFolder(dir);
  return {
    add: async ({ keyId, app, instance, device, atMs }) => {
      if (!idPattern.test(keyId)) throw new Fault('a registration key has an id');
      const document = { app, instance, device, at: new Date(atMs).toISOString() };
      await writeNew(dir, `${keyId}.json`, `${JSON.stringify(document)}\n`);
    },
    find: async (keyId) => {
      if (!idPattern.test(keyId)) return undefined;
      const file = `${dir}/${keyId}.json`;
      const text = await readOwn(file);
      return text === undefined ? undefined : readJoin(file, keyId, text);
    },
  };
}

function readJoin(file: string, keyId: string, text: string): AttestedJoin {
  const value = jsonValueOf(text);
  if (value !== undefined && isJsonObject(value)) {
    const { app, instance, device, at } = value;
    const atMs = typeof at === 'string' ? Date.parse(at) : Number.NaN;
    const isText = (each: unknown): each is string | undefined =>
      each === undefined || typeof each === 'string';
    if (typeof app === 'string' && isText(instance) && isText(device) && !Number.isNaN(atMs)) {
      return { keyId, app, instance, device, atMs };
    }
  }
  throw new Fault(`${file} is damaged: it holds no join`);
}
