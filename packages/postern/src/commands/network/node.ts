import type { JsonObject, JsonValue } from '@postern/core/base';
import type { ControlCall } from '../../client/index.ts';
import type { Invocation, Run } from '../../command.ts';
import { answered, listed, misused, text } from './answer.ts';
import { approveWaiting } from './approve-waiting.ts';
import { nodePage, ownerOf } from './node-words.ts';

export function nodePath(node: string, verb?: string): string {
  const path = `/api/v1/nodes/${encodeURIComponent(node)}`;
  return verb === undefined ? path : `${path}/${verb}`;
}

function about(node: string, verb: string, body: JsonValue): ControlCall {
  return { method: 'POST', path: nodePath(node, verb), body };
}

function nameOf(node: JsonObject): string {
  return text(node['fqdn']) || text(node['name']);
}

export const show: Run = (invocation) =>
  answered(invocation, { method: 'GET', path: nodePath(nodeOf(invocation)) }, nodePage);

export const approve: Run = async (invocation) => {
  const { options, io } = invocation;
  const { user } = options;
  const tags = listed(options['tags']);
  if (typeof user === 'string' && tags !== undefined) {
    return misused(io, 'Either --user or --tags: a machine with tags belongs to nobody.');
  }
  const as = {
    ...(typeof user === 'string' ? { user } : {}),
    ...(tags === undefined ? {} : { tags: [...tags] }),
  };
  if (options['allPending'] === true) {
    if (nodeOf(invocation) !== '') return misused(io, 'Either a machine or --all-pending.');
    if (Object.keys(as).length === 0)
      return misused(io, 'Say whose they become: --user or --tags.');
    return approveWaiting(invocation, as);
  }
  if (nodeOf(invocation) === '') return misused(io, 'Say which machine, or --all-pending.');
  const call = about(signInId(nodeOf(invocation)), 'approve', as);
  return answered(invocation, call, (node) => `Approved: ${nameOf(node)} (${ownerOf(node)}).`);
};

export const expire: Run = (invocation) =>
  answered(
    invocation,
    { method: 'POST', path: nodePath(nodeOf(invocation), 'expire') },
    (node) => `The key of ${nameOf(node)} is over. It has to sign in again.`,
  );

export const remove: Run = (invocation) =>
  answered(
    invocation,
    { method: 'DELETE', path: nodePath(nodeOf(invocation)) },
    (node) => `Forgotten: ${text(node['name'])}.`,
  );

export const rename: Run = (invocation) => {
  const { name } = invocation.args;
  const call = about(nodeOf(invocation), 'rename', name === undefined ? {} : { name });
  return answered(invocation, call, (node) => `It is called ${nameOf(node)} now.`);
};

export const tag: Run = (invocation) => {
  const tags = listed(invocation.args['tags']) ?? [];
  const call = about(nodeOf(invocation), 'tags', { tags: [...tags] });
  return answered(invocation, call, (node) => `${nameOf(node)} has ${ownerOf(node)} now.`);
};

export function nodeOf({ args }: Invocation): string {
  return args['node'] ?? '';
}

/** People paste the whole link that the machine showed. */
function signInId(word: string): string {
  return /\/register\/([0-9a-f]{32})$/.exec(word)?.[1] ?? word;
}
