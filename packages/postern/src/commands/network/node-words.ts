import type { JsonObject } from '@postern/core/base';
import { table } from '../../output/table.ts';
import { ago } from '../../output/when.ts';
import { facts, object, text, texts } from './answer.ts';

/** The machines, a line each. */
export function nodeTable(nodes: readonly JsonObject[]): string {
  return table(
    ['name', 'address', 'owner', 'system', 'online', 'state', 'routes'],
    nodes.map((node) => [
      text(node['name']),
      texts(node['addresses'])[0] ?? '',
      ownerOf(node),
      text(node['os']) || '-',
      onlineWords(node),
      stateWords(node),
      texts(object(node['routes'])['approved']).join(', ') || '-',
    ]),
  );
}

/** One machine, all that is known about it. */
export function nodePage(node: JsonObject): string {
  const routes = object(node['routes']);
  return facts([
    ['name', text(node['fqdn']) || text(node['name'])],
    ['id', text(node['id'])],
    ['owner', ownerOf(node)],
    ['addresses', texts(node['addresses']).join(', ')],
    ['state', stateWords(node)],
    ['online', onlineWords(node)],
    ['host name', text(node['hostname'])],
    ['system', text(node['os'])],
    ['client', text(node['client_version'])],
    ['offers to route', texts(routes['advertised']).join(', ')],
    ['may route', texts(routes['approved']).join(', ')],
    ['endpoints', texts(node['endpoints']).join(', ')],
    ['joined', `${since(node['created_at'])}${admittedBy(node)}`],
    ['key ends', since(node['key_expires_at']) || 'never'],
    ['node key', text(node['node_key'])],
    ['machine key', text(node['machine_key'])],
  ]);
}

/** Machines that show a sign-in link and are no nodes yet. */
export function waitingTable(waiting: readonly JsonObject[]): string {
  return table(
    ['asks to join', 'system', 'since', 'approve with'],
    waiting.map((each) => [
      text(each['hostname']) || '?',
      text(each['os']) || '-',
      since(each['since']),
      `postern node approve ${text(each['id'])} --user LOGIN`,
    ]),
  );
}

export function ownerOf(node: JsonObject): string {
  return texts(node['tags']).join(', ') || text(node['user']) || '-';
}

function onlineWords(node: JsonObject): string {
  if (node['online'] === true) return 'yes';
  return since(node['last_seen']) || 'never';
}

export function stateWords(node: JsonObject): string {
  const words = [
    node['expired'] === true ? 'expired' : '',
    node['approved'] === false ? 'waits for approval' : '',
    node['ephemeral'] === true ? 'ephemeral' : '',
  ].filter((word) => word !== '');
  return words.join(', ') || 'good';
}

function admittedBy(node: JsonObject): string {
  const key = text(node['admitted_by']);
  return key === '' ? '' : ` by ${key}`;
}

function since(value: JsonObject[string] | undefined): string {
  return typeof value === 'string' ? ago(value, Date.now()) : '';
}
