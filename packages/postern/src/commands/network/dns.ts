import type { JsonObject, JsonValue } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Invocation, Run } from '../../command.ts';
import {
  answered,
  facts,
  listed,
  misused,
  object,
  objects,
  refused,
  text,
  texts,
} from './answer.ts';

const path = '/api/v1/network/dns';
const none = 'none';

export const show: Run = (invocation) => answered(invocation, { method: 'GET', path }, page);

/** Reads what is there, changes what was named, and puts it back whole. */
export const set: Run = async (invocation) => {
  const { options, io } = invocation;
  const changes = changesOf(options);
  if (typeof changes === 'string') return misused(io, changes);
  if (Object.keys(changes).length === 0) {
    return misused(io, 'Say what to change; --help lists the options.');
  }
  const now = await clientFor(io).json({ method: 'GET', path });
  if (!now.ok) return refused(io, now.error);
  const body = { ...object(now.value), ...changes };
  return answered(invocation, { method: 'POST', path, body }, page);
};

function changesOf(options: Invocation['options']): JsonObject | string {
  const changes: Record<string, JsonValue> = {};
  for (const [option, name] of [
    ['magic', 'magic_dns'],
    ['override', 'override_local'],
  ] as const) {
    const value = options[option];
    if (value === undefined) continue;
    if (value !== 'on' && value !== 'off') return `--${option} takes on or off.`;
    changes[name] = value === 'on';
  }
  for (const [option, name] of [
    ['nameservers', 'nameservers'],
    ['search', 'search_domains'],
  ] as const) {
    const list = listOf(options[option]);
    if (list !== undefined) changes[name] = [...list];
  }
  const routes = pairsOf('split', options['split']);
  if (typeof routes === 'string') return routes;
  if (routes !== undefined) {
    changes['routes'] = routes.map(([domain, servers]) => ({
      domain,
      resolvers: servers.split('+'),
    }));
  }
  const records = pairsOf('records', options['records']);
  if (typeof records === 'string') return records;
  if (records !== undefined) {
    changes['extra_records'] = records.map(([name, value]) => ({
      name,
      type: value.includes(':') ? 'AAAA' : 'A',
      value,
    }));
  }
  return changes;
}

function listOf(option: string | boolean | undefined): readonly string[] | undefined {
  return option === none ? [] : listed(option);
}

function pairsOf(
  option: string,
  value: string | boolean | undefined,
): readonly (readonly [string, string])[] | string | undefined {
  const pairs: [string, string][] = [];
  const list = listOf(value);
  if (list === undefined) return undefined;
  for (const each of list) {
    const at = each.indexOf('=');
    if (at < 1 || at === each.length - 1) return `--${option}: "${each}" is not NAME=VALUE.`;
    pairs.push([each.slice(0, at), each.slice(at + 1)]);
  }
  return pairs;
}

function page(dns: JsonObject): string {
  const servers = texts(dns['nameservers']).join(', ') || none;
  const how = dns['override_local'] === true ? 'instead of their own' : 'beside their own';
  const routes = objects(dns['routes']).map(
    (route) => `${text(route['domain'])} at ${texts(route['resolvers']).join(', ')}`,
  );
  const records = objects(dns['extra_records']).map(
    (record) => `${text(record['name'])} ${text(record['type'])} ${text(record['value'])}`,
  );
  return facts([
    [
      'names of machines',
      dns['magic_dns'] === true ? 'resolve' : 'do not resolve (MagicDNS is off)',
    ],
    ['name servers', servers === none ? none : `${servers}, ${how}`],
    ['split', routes.join('; ') || none],
    ['search domains', texts(dns['search_domains']).join(', ') || none],
    ['own names', records.join('; ') || none],
  ]);
}
