import type { JsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { table } from '../../output/table.ts';
import { answered, listed, misused, object, refused, text, texts } from './answer.ts';
import { nodeOf, nodePath } from './node.ts';

export const run: Run = async (invocation) => {
  const { args, options, io } = invocation;
  const named = listed(args['prefixes']);
  const ways = [named !== undefined, options['all'] === true, options['none'] === true];
  if (ways.filter(Boolean).length > 1) {
    return misused(io, 'Name prefixes, or give --all, or --none.');
  }
  const node = nodeOf(invocation);
  if (!ways.includes(true)) {
    return answered(invocation, { method: 'GET', path: nodePath(node) }, routeTable);
  }
  let approved = named ?? [];
  if (options['all'] === true) {
    const shown = await clientFor(io).json({ method: 'GET', path: nodePath(node) });
    if (!shown.ok) return refused(io, shown.error);
    approved = texts(object(object(shown.value)['routes'])['advertised']);
  }
  const call = { method: 'POST', path: nodePath(node, 'routes') } as const;
  return answered(invocation, { ...call, body: { approved: [...approved] } }, routeTable);
};

function routeTable(node: JsonObject): string {
  const routes = object(node['routes']);
  const offered = texts(routes['advertised']);
  const approved = texts(routes['approved']);
  const all = [...new Set([...offered, ...approved])];
  if (all.length === 0) return `${text(node['name'])} offers to route nothing.`;
  const yes = (is: boolean): string => (is ? 'yes' : 'no');
  return table(
    ['prefix', 'offered', 'allowed'],
    all.map((prefix) => [prefix, yes(offered.includes(prefix)), yes(approved.includes(prefix))]),
  );
}
