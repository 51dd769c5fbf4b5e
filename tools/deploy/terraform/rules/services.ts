import { resourceOf } from '../openings.ts';
import { text } from '../value.ts';
import type { Rule } from './rule.ts';
import { blockOf, resourcesOf, words } from './rule.ts';

/** What stands around the machines. */
export const services: readonly Rule[] = [
  {
    name: 'services-by-endpoint',
    why: 'Without a way out, Bedrock, SSM, STS and the logs are reached inside the VPC.',
    check(graph) {
      const found = resourcesOf(graph, 'aws_vpc_endpoint');
      if (resourcesOf(graph, 'aws_vpc').length === 0) return [];
      return ['bedrock-runtime', 'ssm', 'ssmmessages', 'ec2messages', 'sts', 'logs', 's3'].flatMap(
        (service) => {
          const endpoint = found.find(({ fields }) =>
            text(fields['service_name']).endsWith(`.${service}`),
          );
          if (endpoint === undefined) return [`there is no endpoint for ${service}`];
          const isNamed = service === 's3' || endpoint.fields['private_dns_enabled'] === true;
          return isNamed ? [] : [`${endpoint.address} does not answer to the service’s own name`];
        },
      );
    },
  },
  {
    name: 'flow-logs-are-on',
    why: 'What was tried is known afterwards.',
    check: (graph) =>
      resourcesOf(graph, 'aws_vpc')
        .filter(
          (vpc) =>
            !resourcesOf(graph, 'aws_flow_log').some(
              ({ fields }) =>
                resourceOf(fields['vpc_id']) === vpc.address &&
                ['ALL', 'REJECT'].includes(text(fields['traffic_type'])),
            ),
        )
        .map((vpc) => `${vpc.address} keeps no flow log`),
  },
  {
    name: 'keys-are-for-one-machine',
    why: 'A key for the tailnet is used once, tagged, short-lived, and its machine goes when it goes.',
    check: (graph) =>
      resourcesOf(graph, 'tailscale_tailnet_key')
        .filter(
          ({ fields }) =>
            fields['reusable'] !== false ||
            fields['ephemeral'] !== true ||
            words(fields['tags']).length === 0 ||
            Number(fields['expiry'] ?? Number.POSITIVE_INFINITY) > 86_400,
        )
        .map(({ address }) => `${address} can be used more than once, untagged or for long`),
  },
  {
    name: 'secrets-are-secure-parameters',
    why: 'A key in a plain parameter is readable by whoever lists parameters.',
    check: (graph) =>
      resourcesOf(graph, 'aws_ssm_parameter')
        .filter(
          ({ fields }) =>
            /key|secret|token/u.test(text(fields['name'])) && fields['type'] !== 'SecureString',
        )
        .map(({ address }) => `${address} stores a secret in the clear`),
  },
  {
    name: 'one-writer-of-the-policy',
    why: 'Terraform and `postern policy apply` would undo each other.',
    check: (graph) =>
      resourcesOf(graph, 'tailscale_acl').map(
        ({ address }) => `${address} writes the policy by default`,
      ),
  },
  {
    name: 'public-tls-is-1-3',
    why: 'Public listeners speak TLS 1.3; nothing answers in the clear.',
    check(graph) {
      const outer = new Set(
        resourcesOf(graph, 'aws_lb')
          .filter(({ fields }) => fields['internal'] !== true)
          .map(({ address }) => address),
      );
      return resourcesOf(graph, 'aws_lb_listener')
        .filter(({ fields }) => outer.has(resourceOf(fields['load_balancer_arn'])))
        .filter(
          ({ fields }) =>
            fields['protocol'] !== 'HTTPS' ||
            !text(fields['ssl_policy']).startsWith('ELBSecurityPolicy-TLS13-1-3'),
        )
        .map(({ address }) => `${address} speaks less than TLS 1.3`);
    },
  },
  {
    name: 'the-balancer-is-strict',
    why: 'Two readings of one request are how requests are smuggled; and who came is logged.',
    check: (graph) =>
      resourcesOf(graph, 'aws_lb')
        .filter(({ fields }) => fields['load_balancer_type'] === 'application')
        .filter(
          ({ fields }) =>
            fields['drop_invalid_header_fields'] !== true ||
            fields['desync_mitigation_mode'] !== 'strictest' ||
            blockOf(fields, 'access_logs')['enabled'] !== true,
        )
        .map(({ address }) => `${address} passes odd requests on or keeps no log`),
  },
];
