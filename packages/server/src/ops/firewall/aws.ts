import type { FirewallPlan, FlowRule, Party } from './rules.ts';
import { anywhere } from './rules.ts';

interface IpPermission {
  readonly IpProtocol: string;
  readonly FromPort: number;
  readonly ToPort: number;
  readonly IpRanges?: readonly { readonly CidrIp: string; readonly Description: string }[];
  readonly Ipv6Ranges?: readonly { readonly CidrIpv6: string; readonly Description: string }[];
  readonly UserIdGroupPairs?: readonly {
    readonly GroupName: string;
    readonly Description: string;
  }[];
}

/** A security group as `aws ec2 describe-security-groups` shows one; members are named by their groups. */
export interface SecurityGroup {
  readonly GroupName: string;
  readonly Description: string;
  readonly IpPermissions: readonly IpPermission[];
  readonly IpPermissionsEgress: readonly IpPermission[];
}

/** One group for each party that is ours. A group that is not named in a rule is denied. */
export function asSecurityGroups(plan: FirewallPlan): readonly SecurityGroup[] {
  const ours = new Map<string, Party>();
  for (const { from, to } of plan.rules) {
    for (const each of [from, to]) if (isOurs(each)) ours.set(each.id, each);
  }
  return [...ours.values()].map((party) => ({
    GroupName: groupName(plan, party),
    Description: `${party.name} (${plan.environment})`.slice(0, 255),
    IpPermissions: plan.rules
      .filter(({ to }) => to.id === party.id)
      .flatMap((rule) => permissions(plan, rule, rule.from)),
    IpPermissionsEgress: plan.rules
      .filter(({ from }) => from.id === party.id)
      .flatMap((rule) => permissions(plan, rule, rule.to)),
  }));
}

function isOurs({ id }: Party): boolean {
  return id === 'gateway' || id === 'balancer' || id.startsWith('inference:');
}

function permissions(plan: FirewallPlan, rule: FlowRule, other: Party): readonly IpPermission[] {
  const Description = `${rule.from.name} to ${rule.to.name}`
    .replaceAll(/[^A-Za-z0-9 ._:/()#,@[\]+=&;{}!$*-]/g, ' ')
    .slice(0, 255);
  return rule.ports.map((port) => {
    const common = { IpProtocol: rule.protocol, FromPort: port, ToPort: port };
    if (isOurs(other)) {
      return { ...common, UserIdGroupPairs: [{ GroupName: groupName(plan, other), Description }] };
    }
    const networks = other.networks.length > 0 ? other.networks : anywhere;
    const four = networks.filter((each) => !each.includes(':'));
    const six = networks.filter((each) => each.includes(':'));
    return {
      ...common,
      ...(four.length === 0 ? {} : { IpRanges: four.map((CidrIp) => ({ CidrIp, Description })) }),
      ...(six.length === 0
        ? {}
        : { Ipv6Ranges: six.map((CidrIpv6) => ({ CidrIpv6, Description })) }),
    };
  });
}

function groupName({ environment }: FirewallPlan, { id }: Party): string {
  return `postern-${environment}-${id.replace('inference:', '')}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 255);
}
