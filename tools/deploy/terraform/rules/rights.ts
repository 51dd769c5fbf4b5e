import type { Graph } from '../graph.ts';
import { resourceOf } from '../openings.ts';
import type { Fields } from '../value.ts';
import { asList, isFields, text } from '../value.ts';
import type { Rule } from './rule.ts';
import { blockOf, resourcesOf, words } from './rule.ts';

interface Statement {
  readonly document: string;
  readonly fields: Fields;
}

function statements(graph: Graph): readonly Statement[] {
  return graph.resources
    .filter((each) => each.isData && each.type === 'aws_iam_policy_document')
    .flatMap((each) =>
      asList(each.fields['statement'])
        .filter(isFields)
        .map((fields) => ({ document: each.address, fields })),
    );
}

/** What a role may do. */
export const rights: readonly Rule[] = [
  {
    name: 'no-wildcard-rights',
    why: 'A role may do named things to named things.',
    check: (graph) =>
      statements(graph)
        .filter(({ fields }) => fields['effect'] !== 'Deny')
        .flatMap(({ document, fields }) => [
          ...words(fields['actions'])
            .filter((action) => action.includes('*'))
            .map((action) => `${document} allows ${action}`),
          ...words(fields['resources'])
            .filter(
              (resource) =>
                resource === '*' || (resource.endsWith(':*') && !resource.endsWith('}:*')),
            )
            .map((resource) => `${document} allows it to ${resource}`),
        ]),
  },
  {
    name: 'bedrock-by-model',
    why: 'The gateway invokes the models that were named, with credentials of IMDSv2, and does nothing else to Bedrock.',
    check: (graph) =>
      statements(graph)
        .filter(({ fields }) =>
          words(fields['actions']).some((each) => each.startsWith('bedrock:')),
        )
        .flatMap(({ document, fields }) => {
          const findings = words(fields['actions'])
            .filter(
              (action) =>
                !['bedrock:InvokeModel', 'bedrock:InvokeModelWithResponseStream'].includes(action),
            )
            .map((action) => `${document} allows ${action}`);
          if (words(fields['resources']).some((each) => each.includes('*')))
            findings.push(`${document} allows models that nobody named`);
          const conditions = asList(fields['condition']).filter(isFields);
          const isRole = !('principals' in fields);
          if (isRole && !conditions.some((each) => each['variable'] === 'ec2:RoleDelivery'))
            findings.push(`${document} takes credentials of IMDSv1`);
          return findings;
        }),
  },
  {
    name: 'bedrock-endpoint-has-a-policy',
    why: 'The endpoint lets the gateway’s role through, and nobody else of the account.',
    check: (graph) =>
      resourcesOf(graph, 'aws_vpc_endpoint')
        .filter(({ fields }) => text(fields['service_name']).endsWith('.bedrock-runtime'))
        .filter(({ fields }) => {
          const document = graph.find(resourceOf(fields['policy']));
          const principals = asList(document?.fields['statement'])
            .filter(isFields)
            .flatMap((each) => words(blockOf(each, 'principals')['identifiers']));
          return principals.length === 0 || principals.some((each) => each === '*');
        })
        .map(({ address }) => `${address} serves everybody in the VPC`),
  },
  {
    name: 'only-the-ssm-core-policy',
    why: 'Managed policies grow by themselves; the one that SSM needs is the only one.',
    check: (graph) =>
      resourcesOf(graph, 'aws_iam_role_policy_attachment')
        .filter(
          ({ fields }) => !text(fields['policy_arn']).endsWith('/AmazonSSMManagedInstanceCore'),
        )
        .map(({ address, fields }) => `${address} attaches ${text(fields['policy_arn'])}`),
  },
];
