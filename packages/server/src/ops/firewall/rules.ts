/** Environments of a deployment, from a laptop to a company. */
export const environments = ['dev', 'staging-home', 'staging-cloud', 'production'] as const;
export type Environment = (typeof environments)[number];

/** Who sends or is sent to. */
export interface Party {
  readonly id: string;
  /** As people call it: `Instant GPU`. */
  readonly name: string;
  /** Prefixes; empty: they are not known, or it is named. */
  readonly networks: readonly string[];
  /** Host names that stand for it, where addresses are not known. */
  readonly names: readonly string[];
}

/** One row: everything else is denied. */
export interface FlowRule {
  readonly from: Party;
  readonly to: Party;
  readonly protocol: 'tcp' | 'udp';
  readonly ports: readonly number[];
  /** Over the private network (its own interface), or beside it. */
  readonly over: 'tailnet' | 'network';
  /** Which part of configuration or policy says so. */
  readonly because: string;
}

export interface FirewallPlan {
  readonly environment: Environment;
  readonly rules: readonly FlowRule[];
  /** What the plan cannot say, or what is missing in what it was made from. */
  readonly notes: readonly string[];
}

/** Whose firewall. */
export const roles = ['gateway', 'inference'] as const;
export type Role = (typeof roles)[number];

export const anywhere: readonly string[] = ['0.0.0.0/0', '::/0'];
