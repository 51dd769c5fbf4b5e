import type { Graph, Resource } from './graph.ts';
import type { Value } from './value.ts';
import { asList, isFields, text } from './value.ts';

/** One thing that a security group lets in or out. */
export interface Opening {
  readonly direction: 'in' | 'out';
  /** Address of the group that has the rule. */
  readonly group: string;
  /** A range, or the address of another group, or the text of what is not known. */
  readonly peer: string;
  readonly protocol: string;
  readonly fromPort: number;
  readonly toPort: number;
  readonly rule: string;
}

/** Everything that every group of the graph lets in and out, whichever of the three ways it is written. */
export function openingsOf(graph: Graph): readonly Opening[] {
  return graph.resources.flatMap((resource) => {
    switch (resource.type) {
      case 'aws_vpc_security_group_ingress_rule':
        return single(resource, 'in', resource.fields['security_group_id']);
      case 'aws_vpc_security_group_egress_rule':
        return single(resource, 'out', resource.fields['security_group_id']);
      case 'aws_security_group_rule':
        return single(
          resource,
          resource.fields['type'] === 'egress' ? 'out' : 'in',
          resource.fields['security_group_id'],
        );
      case 'aws_security_group':
        return [...inline(resource, 'ingress', 'in'), ...inline(resource, 'egress', 'out')];
      default:
        return [];
    }
  });
}

export function covers(opening: Opening, port: number, protocol = 'tcp'): boolean {
  if (opening.protocol !== '-1' && opening.protocol !== protocol) return false;
  return opening.protocol === '-1' || (opening.fromPort <= port && port <= opening.toPort);
}

export function isEverybody(peer: string): boolean {
  return peer.endsWith('/0');
}

/** The address of a resource from a reference to one of its attributes. */
export function resourceOf(value: Value | undefined): string {
  return text(value)
    .replace(/^\$\{/u, '')
    .replace(/\}$/u, '')
    .replace(/\.(?:id|arn|name|json|primary_network_interface_id)$/u, '');
}

function inline(resource: Resource, block: string, direction: 'in' | 'out'): Opening[] {
  return asList(resource.fields[block]).flatMap((rule) =>
    isFields(rule)
      ? openings(rule, direction, resource.address, `${resource.address} ${block}`)
      : [],
  );
}

function single(resource: Resource, direction: 'in' | 'out', group: Value | undefined): Opening[] {
  return openings(resource.fields, direction, resourceOf(group), resource.address);
}

function openings(
  fields: Resource['fields'],
  direction: 'in' | 'out',
  group: string,
  rule: string,
): Opening[] {
  const peers = [
    fields['cidr_ipv4'],
    fields['cidr_ipv6'],
    fields['prefix_list_id'],
    fields['referenced_security_group_id'],
    fields['source_security_group_id'],
    ...['cidr_blocks', 'ipv6_cidr_blocks', 'security_groups', 'prefix_list_ids'].flatMap((key) =>
      asList(fields[key]),
    ),
    fields['self'] === true ? `\${${group}.id}` : undefined,
  ].filter((peer) => peer !== undefined && peer !== null);
  const protocol = text(fields['ip_protocol'] ?? fields['protocol'] ?? '-1');
  // A rule whose peer the text does not tell may be open to anybody.
  const named = peers.length === 0 ? ['whoever it names'] : peers;
  return named.map((peer) => ({
    direction,
    group,
    peer: resourceOf(peer),
    protocol: protocol === 'all' ? '-1' : protocol,
    fromPort: Number(fields['from_port'] ?? 0),
    toPort: Number(fields['to_port'] ?? 65_535),
    rule,
  }));
}
