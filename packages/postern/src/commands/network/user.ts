import type { JsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { table } from '../../output/table.ts';
import { allOf, answered, refused, text } from './answer.ts';

const path = '/api/v1/network/users';

export const list: Run = async ({ io }) => {
  const all = await allOf(clientFor(io), path);
  if (!all.ok) return refused(io, all.error);
  if (io.json) io.outJson(all.value);
  else if (all.value.length === 0) io.out('Nobody is on the network yet.');
  else io.out(table(['login', 'name', 'role', 'machines', 'known by'], all.value.map(row)));
  return exitCodes.ok;
};

export const role: Run = (invocation) => {
  const { user = '', role: wanted } = invocation.args;
  const body = wanted === undefined ? {} : { role: wanted };
  const call = { method: 'POST', path: `${path}/${encodeURIComponent(user)}/role`, body } as const;
  return answered(invocation, call, (after) => `${text(after['login'])} is ${roleOf(after)} now.`);
};

function row(user: JsonObject): readonly string[] {
  const { nodes } = user;
  return [
    text(user['login']),
    text(user['display_name']),
    roleOf(user),
    typeof nodes === 'number' ? String(nodes) : '0',
    text(user['authority']),
  ];
}

function roleOf(user: JsonObject): string {
  return text(user['role']) || 'member';
}
