import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../packages/core/src/contract/index.ts';
import { isError, parsePolicyText } from '../../packages/core/src/policy/index.ts';
import type { Fields, Graph } from '../../tools/deploy/terraform/index.ts';
import { buildGraph, openingsOf, rules } from '../../tools/deploy/terraform/index.ts';

// By `require`: its types bring the browser's globals into every file of the program.
const { parse } = createRequire(import.meta.url)('@cdktf/hcl2json') as {
  readonly parse: (file: string, text: string) => Promise<unknown>;
};

const base = path.resolve(import.meta.dirname, '../../deploy/terraform');

/** Every text file below `deploy/terraform`, by absolute path; a mutant is this with one text changed. */
type Files = ReadonlyMap<string, string>;

const files = new Map<string, string>(
  readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(?:tf|tftpl)$/u.test(entry.name))
    .map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      return [file, readFileSync(file, 'utf8')];
    }),
);

const parsed = new Map<string, unknown>();

async function parseAll(source: Files): Promise<void> {
  for (const [file, text] of source)
    if (file.endsWith('.tf') && !parsed.has(text)) parsed.set(text, await parse(file, text));
}

/** All files of a folder as one: the same block types are joined. */
function folder(source: Files, name: string): Record<string, unknown> {
  const joined: Record<string, unknown> = {};
  for (const [file, text] of source)
    if (path.dirname(file) === name && file.endsWith('.tf')) join(joined, parsed.get(text));
  return joined;
}

function join(into: Record<string, unknown>, from: unknown): void {
  for (const [key, value] of Object.entries(from as Record<string, unknown>)) {
    const present = into[key];
    if (Array.isArray(value)) into[key] = [...((present as unknown[]) ?? []), ...value];
    else if (typeof value === 'object' && value !== null) {
      const inner = { ...(present as Record<string, unknown> | undefined) };
      join(inner, value);
      into[key] = inner;
    } else into[key] = value;
  }
}

const privateGateway: Fields = {
  region: 'ca-central-1',
  bedrock_model_arns: [
    'arn:aws:bedrock:ca-central-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0',
  ],
  router_image_id: 'ami-router',
  gateway_image_id: 'ami-gateway',
  program: { bucket: 'artifacts', key: 'postern.tgz', sha256: 'a'.repeat(64) },
};

const production: Fields = {
  region: 'eu-central-1',
  public_name: 'ai.example.com',
  certificate_arn: 'arn:aws:acm:eu-central-1:111122223333:certificate/x',
  issuer: {
    url: 'https://id.example.com/',
    audience: 'ai',
    jwks_url: 'https://id.example.com/.well-known/jwks.json',
  },
  bedrock_model_arns: ['arn:aws:bedrock:eu-central-1::foundation-model/anthropic.claude-x'],
  gateway_image_id: 'ami-gateway',
  instant: { image_id: 'ami-a', instance_type: 'g6.xlarge', size: 2 },
  thinking: { image_id: 'ami-b', instance_type: 'p5.4xlarge', size: 1 },
  access_log_bucket: 'logs',
};

const pictures: Readonly<Record<string, readonly [string, Fields]>> = {
  'the gateway on the tailnet': ['roots/private-gateway', privateGateway],
  'the gateway behind a subnet router': [
    'roots/private-gateway',
    { ...privateGateway, mode: 'subnet-router' },
  ],
  'the production picture': ['roots/production', production],
};

function graphOf(source: Files, picture: string): Graph {
  const [root, given] = pictures[picture] ?? ['', {}];
  return buildGraph(path.join(base, root), given, (name) => folder(source, name));
}

/** The names of the rules that a set of files breaks, over all three pictures. */
function broken(source: Files): string[] {
  const names = Object.keys(pictures).flatMap((picture) => {
    const graph = graphOf(source, picture);
    const texts = (file: string): string => source.get(path.normalize(file)) ?? '';
    return rules.filter((rule) => rule.check(graph, texts).length > 0).map(({ name }) => name);
  });
  return [...new Set(names)];
}

beforeAll(() => parseAll(files));

describe('the modules as they are', () => {
  test.each(Object.keys(pictures))('%s keeps every rule', (picture) => {
    const graph = graphOf(files, picture);
    const texts = (file: string): string => files.get(path.normalize(file)) ?? '';
    expect(rules.flatMap((rule) => rule.check(graph, texts))).toEqual([]);
  });

  test('are read whole: machines, groups and keys of each picture are counted', () => {
    const counts = Object.keys(pictures).map((picture) => {
      const { resources } = graphOf(files, picture);
      const count = (type: string): number =>
        resources.filter((each) => each.type === type && !each.isData).length;
      return [count('aws_instance'), count('aws_vpc_endpoint'), count('tailscale_tailnet_key')];
    });
    expect(counts).toEqual([
      [2, 7, 2],
      [2, 7, 1],
      [1, 7, 0],
    ]);
  });

  test('give the firewall table of the production picture, and not a line more', () => {
    const table = openingsOf(graphOf(files, 'the production picture'))
      .filter(({ direction }) => direction === 'in')
      .map((each) => `${each.peer} > ${each.group} : ${each.protocol} ${each.fromPort}`)
      .toSorted();
    const group = (name: string): string => `${name}.aws_security_group.this`;
    const balancer = (tier: string): string => `module.${tier}.aws_security_group.balancer`;
    const endpoints = 'module.network.aws_security_group.endpoints';
    expect(table).toEqual(
      [
        `0.0.0.0/0 > ${group('module.load_balancer')} : tcp 443`,
        `${group('module.load_balancer')} > ${group('module.gateway')} : tcp 8000`,
        ...['instant', 'thinking'].flatMap((tier) => [
          `${group('module.gateway')} > ${group(`module.${tier}`)} : tcp 8080`,
          `${group('module.gateway')} > ${balancer(tier)} : tcp 8080`,
          `${balancer(tier)} > ${group(`module.${tier}`)} : tcp 8080`,
          `${group(`module.${tier}`)} > ${endpoints} : tcp 443`,
        ]),
        `${group('module.gateway')} > ${endpoints} : tcp 443`,
      ].toSorted(),
    );
  });

  test.each(['the gateway on the tailnet', 'the production picture'])(
    '%s gives the gateway a configuration and a policy that it takes',
    (picture) => {
      const graph = graphOf(files, picture);
      const text = (name: string): string => {
        const value = graph.find(`module.gateway.aws_ssm_parameter.${name}`)?.fields['value'];
        return typeof value === 'string' ? value : '';
      };
      expect(parseConfig(JSON.parse(text('config')))).not.toHaveProperty('issues');
      const { findings } = parsePolicyText(text('policy'));
      expect(findings.filter(isError)).toEqual([]);
    },
  );

  test('a temporary switch for SSH opens one address, and only while it lasts', () => {
    const [root, given] = pictures['the gateway on the tailnet'] ?? ['', {}];
    const temporary = { cidr: '203.0.113.7/32', until: '2030-01-01T12:00:00Z' };
    const graph = buildGraph(
      path.join(base, root),
      { ...given, temporary_ssh: temporary },
      (name) => folder(files, name),
    );
    const ssh = openingsOf(graph).filter((each) => each.fromPort === 22);
    expect(ssh.map(({ peer, toPort }) => [peer, toPort])).toEqual([['203.0.113.7/32', 22]]);
    expect(files.get(path.join(base, 'modules/subnet-router/main.tf'))).toContain(
      'timecmp(var.temporary_ssh.until, plantimestamp()) > 0',
    );
  });
});

/** One change of the text each: the file, what stands there, what the mutant says, and the only rules that may notice. */
const mutants: readonly (readonly [string, string, string, string, string])[] = [
  [
    'ssh for everybody',
    'modules/subnet-router/main.tf',
    'ip_protocol       = "udp"\n  from_port         = 41641\n  to_port           = 41641',
    'ip_protocol       = "tcp"\n  from_port         = 22\n  to_port           = 22',
    'nothing-public-but-https-and-wireguard no-ssh',
  ],
  [
    'the SSH switch left on',
    'modules/subnet-router/main.tf',
    'count             = local.ssh_open ? 1 : 0',
    'count             = 1',
    'no-ssh',
  ],
  [
    'the gateway open to the VPC',
    'modules/gateway/main.tf',
    'for_each          = toset(var.caller_cidrs)',
    'for_each          = toset(["10.0.0.0/8"])',
    'gateway-callers-are-named',
  ],
  [
    'models open to the load balancer',
    'roots/production/main.tf',
    'gateway_security_group_id  = module.gateway.security_group_id',
    'gateway_security_group_id  = module.load_balancer.security_group_id',
    'models-answer-the-gateway-only',
  ],
  [
    'the gateway may call everybody',
    'modules/gateway/main.tf',
    'prefix_list_id    = var.s3_prefix_list_id',
    'cidr_ipv4         = "0.0.0.0/0"',
    'private-machines-go-nowhere-else',
  ],
  [
    'a gateway with a public address',
    'modules/gateway/main.tf',
    'associate_public_ip_address = false',
    'associate_public_ip_address = true',
    'no-public-addresses',
  ],
  [
    'models with public addresses',
    'modules/gpu-group/main.tf',
    'associate_public_ip_address = false',
    'associate_public_ip_address = true',
    'no-public-addresses',
  ],
  [
    'a private subnet with a way out',
    'modules/network/main.tf',
    'route_table_id         = aws_route_table.public.id\n  destination_cidr_block',
    'route_table_id         = aws_route_table.private.id\n  destination_cidr_block',
    'private-means-no-route-out',
  ],
  [
    'NAT by default',
    'roots/private-gateway/variables.tf',
    'default     = false',
    'default     = true',
    'private-means-no-route-out private-machines-go-nowhere-else',
  ],
  [
    'the default group left open',
    'modules/network/main.tf',
    'resource "aws_default_security_group" "this" {',
    'resource "aws_default_security_group" "this" {\n  ingress {\n    protocol  = "-1"\n    self      = true\n    from_port = 0\n    to_port   = 0\n  }',
    'default-group-is-closed',
  ],
  [
    'IMDSv1',
    'modules/gateway/main.tf',
    'http_tokens                 = "required"',
    'http_tokens                 = "optional"',
    'metadata-v2-one-hop',
  ],
  [
    'two hops to the metadata',
    'modules/gpu-group/main.tf',
    'http_put_response_hop_limit = 1',
    'http_put_response_hop_limit = 2',
    'metadata-v2-one-hop',
  ],
  [
    'a disk in the clear',
    'modules/subnet-router/main.tf',
    'encrypted   = true',
    'encrypted   = false',
    'disks-are-encrypted',
  ],
  [
    'a key in user data',
    'modules/subnet-router/main.tf',
    'parameter  = aws_ssm_parameter.auth_key.name',
    'parameter  = var.auth_key',
    'boot-text-has-no-secret',
  ],
  [
    'a program that nobody checked',
    'modules/gateway/boot.sh.tftpl',
    'sha256sum --check --quiet',
    'cat',
    'program-is-checked',
  ],
  [
    'SNAT on',
    'roots/private-gateway/main.tf',
    'snat              = false',
    'snat              = true',
    'routing-and-return-route-agree',
  ],
  [
    'no return route',
    'roots/private-gateway/main.tf',
    'network_interface_id   = module.router.network_interface_id',
    'gateway_id             = "igw-1"',
    'routing-and-return-route-agree',
  ],
  [
    'a router that may not forward',
    'modules/subnet-router/main.tf',
    'source_dest_check           = !local.routes',
    'source_dest_check           = true',
    'routing-and-return-route-agree',
  ],
  [
    'every Bedrock action',
    'modules/gateway/main.tf',
    'actions   = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]',
    'actions   = ["bedrock:*"]',
    'no-wildcard-rights bedrock-by-model',
  ],
  [
    'every model',
    'modules/gateway/main.tf',
    'resources = var.bedrock_model_arns\n\n    # Cred',
    'resources = ["arn:aws:bedrock:*::foundation-model/*"]\n\n    # Cred',
    'bedrock-by-model',
  ],
  [
    'every parameter',
    'modules/subnet-router/main.tf',
    'resources = [aws_ssm_parameter.auth_key.arn]',
    'resources = ["*"]',
    'no-wildcard-rights',
  ],
  [
    'role credentials of IMDSv1',
    'modules/gateway/main.tf',
    'variable = "ec2:RoleDelivery"',
    'variable = "aws:SourceVpc"',
    'bedrock-by-model',
  ],
  [
    'a Bedrock endpoint for everybody',
    'modules/network/main.tf',
    'identifiers = var.gateway_role_arns',
    'identifiers = ["*"]',
    'bedrock-endpoint-has-a-policy',
  ],
  [
    'an administrator',
    'modules/gateway/main.tf',
    'policy/AmazonSSMManagedInstanceCore',
    'policy/AdministratorAccess',
    'only-the-ssm-core-policy',
  ],
  [
    'no endpoint for STS',
    'modules/network/main.tf',
    '"ec2messages", "sts", "logs"',
    '"ec2messages", "logs"',
    'services-by-endpoint',
  ],
  [
    'endpoints under other names',
    'modules/network/main.tf',
    'private_dns_enabled = true',
    'private_dns_enabled = false',
    'services-by-endpoint',
  ],
  [
    'no flow log',
    'modules/network/main.tf',
    'traffic_type             = "ALL"',
    'traffic_type             = "ACCEPT"',
    'flow-logs-are-on',
  ],
  [
    'a reusable key',
    'modules/tailnet/main.tf',
    'reusable            = false',
    'reusable            = true',
    'keys-are-for-one-machine',
  ],
  [
    'a key that stays',
    'modules/tailnet/main.tf',
    'ephemeral           = true',
    'ephemeral           = false',
    'keys-are-for-one-machine',
  ],
  [
    'a key in a plain parameter',
    'modules/subnet-router/main.tf',
    'type   = "SecureString"',
    'type   = "String"',
    'secrets-are-secure-parameters',
  ],
  [
    'two writers of the policy',
    'roots/private-gateway/variables.tf',
    'variable "manage_policy" {\n  description = "Write the tailnet\'s policy file from here. Off: `postern policy apply` owns it."\n  type        = bool\n  default     = false',
    'variable "manage_policy" {\n  type    = bool\n  default = true',
    'one-writer-of-the-policy',
  ],
  [
    'TLS 1.2',
    'modules/load-balancer/main.tf',
    'ELBSecurityPolicy-TLS13-1-3-2021-06',
    'ELBSecurityPolicy-2016-08',
    'public-tls-is-1-3',
  ],
  [
    'plain HTTP',
    'modules/load-balancer/main.tf',
    'protocol          = "HTTPS"',
    'protocol          = "HTTP"',
    'public-tls-is-1-3',
  ],
  [
    'a lenient balancer',
    'modules/load-balancer/main.tf',
    '"strictest"',
    '"defensive"',
    'the-balancer-is-strict',
  ],
  [
    'a gateway that a slip ends',
    'modules/gateway/main.tf',
    'disable_api_termination     = true',
    'disable_api_termination     = false',
    'termination-is-deliberate',
  ],
];

describe('each mutant is caught by its own rules, and by no other', () => {
  test.each(mutants)('%s', async (_name, file, stands, says, caught) => {
    const at = path.join(base, file);
    const text = files.get(at) ?? '';
    expect(text, `${file} has the text that the mutant changes`).toContain(stands);
    const mutant = new Map(files).set(
      at,
      text.replace(stands, () => says),
    );
    await parseAll(mutant);
    expect(broken(mutant).toSorted()).toEqual(caught.split(' ').toSorted());
  });

  test('and every rule has one', () => {
    const caught = new Set(mutants.flatMap(([, , , , names]) => names.split(' ')));
    expect(rules.map(({ name }) => name).filter((name) => !caught.has(name))).toEqual([]);
  });
});
