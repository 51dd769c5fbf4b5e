import type { Graph } from '../graph.ts';
import { covers, isEverybody, openingsOf, resourceOf } from '../openings.ts';
import { asList, text } from '../value.ts';
import type { Rule } from './rule.ts';
import { blockOf, isRouter, resourcesOf } from './rule.ts';

const isGateway = (address: string): boolean => /(?:^|\.)module\.gateway\./u.test(address);
const isModel = (address: string): boolean =>
  /(?:^|\.)module\.(?:instant|thinking)\./u.test(address);

/** Groups of load balancers that face the internet. */
function publicBalancerGroups(graph: Graph): ReadonlySet<string> {
  return new Set(
    resourcesOf(graph, 'aws_lb')
      .filter(({ fields }) => fields['internal'] !== true)
      .flatMap(({ fields }) => asList(fields['security_groups']).map(resourceOf)),
  );
}

/** Who can reach what. */
export const reach: readonly Rule[] = [
  {
    name: 'nothing-public-but-https-and-wireguard',
    why: 'The internet reaches the load balancer on 443 and the router’s WireGuard port, and nothing else.',
    check(graph) {
      const balancers = publicBalancerGroups(graph);
      return openingsOf(graph)
        .filter(({ direction, peer }) => direction === 'in' && isEverybody(peer))
        .filter((each) => {
          const only = each.fromPort === each.toPort && each.protocol !== '-1';
          const isHttps = only && covers(each, 443) && balancers.has(each.group);
          const isWireguard = only && covers(each, 41_641, 'udp') && isRouter(each.group);
          return !isHttps && !isWireguard;
        })
        .map((each) => `${each.rule} lets everybody into ${each.group}`);
    },
  },
  {
    name: 'no-ssh',
    why: 'Shells come by SSM; inbound SSH is a switch with an end.',
    check: (graph) =>
      openingsOf(graph)
        .filter((each) => each.direction === 'in' && covers(each, 22))
        .map((each) => `${each.rule} lets SSH into ${each.group}`),
  },
  {
    name: 'gateway-callers-are-named',
    why: 'The gateway’s port is open to the router, the load balancer or the tailnet’s range.',
    check: (graph) =>
      openingsOf(graph)
        .filter(({ direction, group }) => direction === 'in' && isGateway(group))
        .filter(
          ({ peer, fromPort, toPort }) =>
            fromPort !== toPort ||
            !(
              isRouter(peer) ||
              publicBalancerGroups(graph).has(peer) ||
              peer.startsWith('100.64.')
            ),
        )
        .map((each) => `${each.rule} lets ${each.peer} into the gateway`),
  },
  {
    name: 'models-answer-the-gateway-only',
    why: 'A machine with a model is asked by the gateway (or its own inner balancer), by nobody else.',
    check: (graph) =>
      openingsOf(graph)
        .filter(({ direction, group }) => direction === 'in' && isModel(group))
        .filter(
          (each) =>
            !isGateway(each.peer) &&
            !(isModel(each.peer) && each.group.split('.')[1] === each.peer.split('.')[1]),
        )
        .map((each) => `${each.rule} lets ${each.peer} into ${each.group}`),
  },
  {
    name: 'private-machines-go-nowhere-else',
    why: 'What a private machine may call is named; a way to everywhere is a way out for whatever it holds.',
    check: (graph) =>
      openingsOf(graph)
        .filter(
          ({ direction, group, peer }) =>
            direction === 'out' && (isGateway(group) || isModel(group)) && isEverybody(peer),
        )
        .map((each) => `${each.rule} lets ${each.group} call everybody`),
  },
  {
    name: 'no-public-addresses',
    why: 'Only the router has a public address.',
    check: (graph) => [
      ...resourcesOf(graph, 'aws_instance')
        .filter(
          ({ address, fields }) =>
            fields['associate_public_ip_address'] !== false && !isRouter(address),
        )
        .map(({ address }) => `${address} may get a public address`),
      ...resourcesOf(graph, 'aws_launch_template')
        .filter(
          ({ fields }) =>
            blockOf(fields, 'network_interfaces')['associate_public_ip_address'] !== false,
        )
        .map(({ address }) => `${address} may get a public address`),
      ...resourcesOf(graph, 'aws_subnet')
        .filter(({ fields }) => fields['map_public_ip_on_launch'] !== false)
        .map(({ address }) => `${address} gives public addresses`),
    ],
  },
  {
    name: 'private-means-no-route-out',
    why: 'The private subnets have no route to an internet gateway, and by default none to a NAT gateway.',
    check: (graph) =>
      resourcesOf(graph, 'aws_route')
        .filter(({ fields }) => isEverybody(text(fields['destination_cidr_block'])))
        .filter(({ fields }) => resourceOf(fields['route_table_id']).endsWith('.private'))
        .map(({ address }) => `${address} gives the private subnets a way out`),
  },
  {
    name: 'default-group-is-closed',
    why: 'The group that AWS makes by itself allows everything inside it.',
    check: (graph) =>
      resourcesOf(graph, 'aws_vpc')
        .filter(
          (vpc) =>
            !resourcesOf(graph, 'aws_default_security_group').some(
              ({ fields }) =>
                resourceOf(fields['vpc_id']) === vpc.address &&
                fields['ingress'] === undefined &&
                fields['egress'] === undefined,
            ),
        )
        .map((vpc) => `${vpc.address} keeps its open default group`),
  },
];
