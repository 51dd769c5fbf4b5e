import { resourceOf } from '../openings.ts';
import { asList, isFields, Text, text } from '../value.ts';
import type { Rule } from './rule.ts';
import { blockOf, isRouter, resourcesOf } from './rule.ts';

/** What a machine is, and what it gets. */
export const machines: readonly Rule[] = [
  {
    name: 'metadata-v2-one-hop',
    why: 'IMDSv2 with one hop: neither a forged request nor a container behind a bridge gets the role.',
    check: (graph) =>
      resourcesOf(graph, 'aws_instance', 'aws_launch_template')
        .filter(({ fields }) => {
          const options = blockOf(fields, 'metadata_options');
          return (
            options['http_tokens'] !== 'required' || options['http_put_response_hop_limit'] !== 1
          );
        })
        .map(
          ({ address }) => `${address} hands out credentials by IMDSv1 or over more than one hop`,
        ),
  },
  {
    name: 'disks-are-encrypted',
    why: 'A disk that leaves the machine tells nothing.',
    check: (graph) =>
      resourcesOf(graph, 'aws_instance', 'aws_launch_template')
        .filter(({ type, fields }) =>
          type === 'aws_instance'
            ? blockOf(fields, 'root_block_device')['encrypted'] !== true
            : asList(fields['block_device_mappings'])
                .filter(isFields)
                .some((each) => blockOf(each, 'ebs')['encrypted'] !== true),
        )
        .map(({ address }) => `${address} has a disk in the clear`),
  },
  {
    name: 'termination-is-deliberate',
    why: 'A slip in a console does not end the gateway.',
    check: (graph) => [
      ...resourcesOf(graph, 'aws_instance')
        .filter(({ fields }) => fields['disable_api_termination'] !== true)
        .map(({ address }) => `${address} can be terminated by a slip`),
      ...resourcesOf(graph, 'aws_lb')
        .filter(({ fields }) => fields['enable_deletion_protection'] !== true)
        .map(({ address }) => `${address} can be deleted by a slip`),
    ],
  },
  {
    name: 'boot-text-has-no-secret',
    why: 'User data is readable by every process of the machine.',
    check: (graph) =>
      resourcesOf(graph, 'aws_instance').flatMap(({ address, fields }) => {
        const data = fields['user_data'];
        const variables = data instanceof Text ? Object.entries(data.variables) : [];
        return variables
          .filter(([, value]) => /tailnet_key|auth_key\}|\.key\}/u.test(text(value)))
          .map(([name]) => `${address} carries a key in its user data (${name})`);
      }),
  },
  {
    name: 'program-is-checked',
    why: 'What was fetched is what was meant: the checksum is compared before anything is unpacked.',
    check: (graph, texts) =>
      resourcesOf(graph, 'aws_instance').flatMap(({ address, fields }) => {
        const data = fields['user_data'];
        if (!(data instanceof Text)) return [];
        const text = texts(data.file);
        const fetched = text.indexOf('s3api get-object');
        const checked = text.indexOf('sha256sum --check');
        const unpacked = text.indexOf('tar -x');
        const isChecked = fetched < 0 || (checked > fetched && unpacked > checked);
        return isChecked ? [] : [`${address} unpacks a program that nobody checked`];
      }),
  },
  {
    name: 'routing-and-return-route-agree',
    why: 'With SNAT off the answers need a way back through the router, and the router must be let forward; with SNAT on the gateway would see the router instead of the caller.',
    check(graph) {
      return resourcesOf(graph, 'aws_instance')
        .filter(({ address }) => isRouter(address))
        .flatMap(({ address, fields }) => {
          const data = fields['user_data'];
          const variables = data instanceof Text ? data.variables : {};
          const routes = text(variables['routes']) !== '';
          const back = resourcesOf(graph, 'aws_route').some(
            ({ fields: route }) => resourceOf(route['network_interface_id']) === address,
          );
          const findings: string[] = [];
          if (routes && variables['snat'] !== false)
            findings.push(`${address} rewrites the callers’ addresses`);
          if (routes && fields['source_dest_check'] !== false)
            findings.push(`${address} may not forward: source_dest_check is on`);
          if (routes && !back)
            findings.push(`nothing leads from the private subnets back to ${address}`);
          if (!routes && fields['source_dest_check'] === false)
            findings.push(`${address} may forward although it routes nothing`);
          return findings;
        });
    },
  },
];
