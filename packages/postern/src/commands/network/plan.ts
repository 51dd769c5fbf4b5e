import type { Role } from '@postern/server/app/machine';
import {
  asIptables,
  asNetworkPolicies,
  asNftables,
  asSecurityGroups,
  asUfw,
  compareWith,
  environments,
  listeningHere,
  planFirewall,
  planRows,
  planSources,
  roles,
} from '@postern/server/app/machine';
import { resolveSettings } from '@postern/server/app/settings';
import type { ExitCode, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import type { Io } from '../../output/io.ts';
import { table } from '../../output/table.ts';

type Plan = ReturnType<typeof planFirewall>;

const formats = ['table', 'nftables', 'iptables', 'ip6tables', 'ufw', 'aws', 'kubernetes'] as const;

export const run: Run = async ({ options, io }) => {
  const environment = environments.find((each) => each === options['env']);
  const role = roles.find((each) => each === (options['for'] ?? 'gateway'));
  const format = formats.find((each) => each === (options['format'] ?? 'table'));
  if (environment === undefined || role === undefined || format === undefined) {
    io.err(
      `--env takes ${environments.join(', ')}; --for takes ${roles.join(' or ')}; --format takes ${formats.join(', ')}.`,
    );
    return exitCodes.usage;
  }
  const gateway = typeof options['gateway'] === 'string' ? options['gateway'].split(',') : [];
  if (gateway.some((each) => !/^[0-9a-fA-F.:]+\/\d{1,3}$/.test(each))) {
    io.err('--gateway takes prefixes, separated by commas, such as 10.0.1.0/24.');
    return exitCodes.usage;
  }
  const settings = resolveSettings(io.flags, io.env);
  const sources = await planSources({ environment, settings, gateway });
  if (!sources.ok) {
    io.err(sources.error);
    return exitCodes.config;
  }
  const plan = planFirewall(sources.value);
  if (options['compare'] === true) return compare(plan, role, io);
  print(plan, role, format, io);
  return exitCodes.ok;
};

function print(plan: Plan, role: Role, format: (typeof formats)[number], io: Io): void {
  if (format === 'aws') return io.out(JSON.stringify(asSecurityGroups(plan), null, 2));
  if (format === 'kubernetes') return io.out(JSON.stringify(asNetworkPolicies(plan), null, 2));
  if (io.json) return io.outJson(plan);
  if (format === 'nftables') io.out(asNftables(plan, role));
  else if (format === 'iptables') io.out(asIptables(plan, role, 4));
  else if (format === 'ip6tables') io.out(asIptables(plan, role, 6));
  else if (format === 'ufw') io.out(asUfw(plan, role));
  else {
    io.out(table(['from', 'to', 'port', 'allow', 'over', 'because'], planRows(plan)));
    for (const note of plan.notes) io.err(`note: ${note}`);
  }
}

/** Exit 1 where something listens for others that the plan does not have. */
async function compare(plan: Plan, role: Role, io: Io): Promise<ExitCode> {
  const sockets = await listeningHere();
  if (!sockets.ok) {
    io.err(`What listens here cannot be seen: ${sockets.error}`);
    return exitCodes.failed;
  }
  const rows = compareWith(plan, role, sockets.value);
  if (io.json) io.outJson(rows);
  else {
    io.out(
      table(
        ['port', 'plan', 'listening', 'verdict'],
        rows.map(({ port, hosts, planned, verdict }) => [
          String(port),
          planned ? 'allow' : 'deny',
          hosts.join(' '),
          verdict,
        ]),
      ),
    );
  }
  return rows.some(({ verdict }) => verdict === 'not in the plan')
    ? exitCodes.failed
    : exitCodes.ok;
}
