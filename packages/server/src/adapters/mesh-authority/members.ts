import {
  Fault,
  fromBase64,
  isJsonObject,
  jsonValueOf,
  present,
  toBase64,
} from '@postern/core/base';
import type { Member, MemberStore } from '../../mesh/index.ts';
import { makeFolder, readOwn, writeNew } from './files.ts';

const idPattern = /^[0-9a-f]{40}$/;
const tokenPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** Keeps the members of a mesh, a file each, and the ids of tokens that were used up. */
export async function openMemberFolder(dir: string): Promise<MemberStore> {
  const [members, spent] = [`${dir}/members`, `${dir}/spent`];
  await makeFolder(members);
  await makeFolder(spent);
  const find = async (instance: string): Promise<Member | undefined> => {
    if (!idPattern.test(instance)) return undefined;
    const file = `${members}/${instance}.json`;
    const text = await readOwn(file);
    return text === undefined ? undefined : readMember(file, instance, text);
  };
  return {
    find,
    add: async (member) => {
      const { instance, app, renewalKey, joinedAtMs, token } = member;
      if (!idPattern.test(instance)) throw new Fault('an instance of ours is 40 hex digits');
      const document = {
        app,
        renewal_key: toBase64(renewalKey),
        joined_at: new Date(joinedAtMs).toISOString(),
        token,
      };
      const isNew = await writeNew(members, `${instance}.json`, `${JSON.stringify(document)}\n`);
      return isNew ? member : present(await find(instance), 'the member that was first');
    },
    spend: async (token, instance) => {
      if (!tokenPattern.test(token)) throw new Fault('a token has an id');
      if (await writeNew(spent, token, instance)) return instance;
      return present(await readOwn(`${spent}/${token}`), 'the use that was first');
    },
  };
}

function readMember(file: string, instance: string, text: string): Member {
  const value = jsonValueOf(text);
  if (value !== undefined && isJsonObject(value)) {
    const { app, renewal_key: key, joined_at: joined, token } = value;
    const renewalKey = typeof key === 'string' ? fromBase64(key) : undefined;
    const joinedAtMs = typeof joined === 'string' ? Date.parse(joined) : Number.NaN;
    const isWhole = renewalKey?.length === 32 && !Number.isNaN(joinedAtMs);
    if (isWhole && typeof app === 'string' && typeof token === 'string') {
      return { instance, app, renewalKey, joinedAtMs, token };
    }
  }
  throw new Fault(`${file} is damaged: it holds no member`);
}
