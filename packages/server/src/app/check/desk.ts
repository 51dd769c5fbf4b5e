import process from 'node:process';
import { err, ok } from '@postern/core/base';
import { defaultConfig } from '@postern/core/contract/defaults';
import type { AuditTools, CheckDesk, CheckGiven } from '../../control/api/index.ts';
import type { Control } from '../../control/index.ts';
import { authorityOf } from '../../control/policy/index.ts';
import type { Egress, Listener } from '../../http/index.ts';
import type { CheckFacts, FirewallFacts, Known } from '../../ops/index.ts';
import { checkReport, fixPlanOf } from '../../ops/index.ts';
import type { Deployment } from '../deployment.ts';
import type { PolicyPlane } from '../policy.ts';
import type { Settings } from '../settings.ts';
import { readVitals } from '../telemetry/vitals.ts';
import {
  driftOf,
  edgeProbes,
  egressRefuses,
  forgedProbes,
  ownListeners,
  placesOf,
  policyInForce,
  reachOf,
  storeLinks,
} from './instance.ts';
import { clockIsSet, daemonOf, firewallOf, listeningSockets, nftFacts } from './machine.ts';
import { placesOfRegistry } from './registry-places.ts';
import type { Sight } from './sight.ts';
import { createSight } from './sight.ts';

export interface CheckSources {
  readonly control: Control;
  readonly settings: Settings;
  readonly deployment: () => Deployment;
  readonly listeners: () => readonly Listener[];
  readonly policy: Pick<PolicyPlane, 'tools'>;
  readonly audit: Pick<AuditTools, 'verify'>;
  readonly egress: Egress;
  readonly engineUrl: () => string | undefined;
  /** Our own addresses on the network. */
  readonly startedAtMs: number;
  /** Another machine than this one, for tests. */
  readonly sight?: Sight;
}

/** The checklist over this process, as the admin API asks for it. */
export function checkDesk(sources: CheckSources): CheckDesk {
  return {
    run: async (given) => {
      const report = checkReport(await checkFacts(sources, given));
      return { ...report, fix_plan: fixPlanOf(report) };
    },
  };
}

/** Reads everything that the checklist judges. */
export async function checkFacts(
  sources: CheckSources,
  given: CheckGiven = {},
): Promise<CheckFacts> {
  const { control, settings, egress, policy } = sources;
  const sight = sources.sight ?? createSight(settings.env);
  const { config } = sources.deployment();
  const snapshot = control.snapshot();
  const nowMs = control.system.nowMs();
  const listeners = ownListeners(sources.listeners());
  const places = await placesOf(config, sight, placesOfRegistry(config, snapshot));
  const [vitals, sockets, firewall, daemon, files, space, clock] = await Promise.all([
    readVitals({ stateDir: settings.stateDir, config, snapshot, nowMs }),
    listeningSockets(sight),
    firewallFacts(sight, given.firewall),
    daemonOf(sight),
    sight.modesBelow(settings.stateDir),
    sight.space(settings.stateDir),
    clockIsSet(sight),
  ]);
  const engineUrl = sources.engineUrl();
  return {
    nowMs,
    config: config ?? defaultConfig,
    configText: settings.configFile === undefined ? undefined : await configText(sight, settings),
    snapshot,
    listeners,
    sockets,
    firewall,
    places,
    reach: await reachOf(places, policy.tools),
    gatewayNames: gatewayNames(sources),
    daemon,
    engine: engineUrl === undefined ? undefined : { url: engineUrl },
    edge: await edgeProbes(listeners, config, egress),
    forged: await forgedProbes(listeners, egress),
    egressRefused: await egressRefuses(egress),
    certificates: vitals.certificates,
    files,
    authority: authorityOf(policy.tools.ports, snapshot.policy),
    policy: await policyInForce(policy.tools),
    drift: await driftOf(policy.tools),
    node: process.version,
    uid: process.geteuid?.(),
    startedAtMs: sources.startedAtMs,
    backupAtMs: vitals.backupAtMs,
    collateralAtMs: vitals.collateral,
    clockIsSet: clock,
    space,
    records: await recordsOf(sources),
    stores: await storeLinks(config, {
      env: settings.env,
      nowMs: control.system.nowMs,
      egress,
    }),
    ssh: given.ssh?.map(({ host, pinned, logs_in: logsIn, offers }) => ({
      host,
      pinned,
      logsIn,
      offers,
    })),
  };
}

/** Whoever asks may have rights that this process has not, and bring what nft told them. */
async function firewallFacts(
  sight: Sight,
  text: string | undefined,
): Promise<Known<FirewallFacts>> {
  return text === undefined ? firewallOf(sight) : nftFacts(text);
}

async function configText(sight: Sight, { configFile }: Settings): Promise<string> {
  const read = await sight.readText(configFile ?? '');
  return read.ok ? read.value : '';
}

/** What reachability calls the gateway itself: its machine, and whatever has its tag. */
export function gatewayNames({
  control,
  listeners,
}: Pick<CheckSources, 'control' | 'listeners'>): readonly string[] {
  const own = new Set(
    ownListeners(listeners()).flatMap(({ kind, host }) => (kind === 'tailnet' ? [host] : [])),
  );
  const nodes = [...control.snapshot().network.nodesById.values()].filter(
    ({ addresses, tags }) =>
      addresses.some((each) => own.has(each)) || tags.includes('tag:gateway'),
  );
  const tags = new Set(['tag:gateway', ...nodes.flatMap((node) => node.tags)]);
  const imagined = [...tags].map((tag) => `a device with ${tag}`);
  return [...tags, ...imagined, ...nodes.map(({ name }) => name)];
}

/** Recomputes every hash of journal and log. */
export async function recordsOf({
  control,
  audit,
}: Pick<CheckSources, 'control' | 'audit'>): Promise<Known<string | undefined>> {
  const [journal, log] = await Promise.all([control.verify(), audit.verify()]);
  if (!journal.ok) return err(journal.error.message);
  if (!log.ok) return err(log.error.message);
  if (!journal.value.intact) return ok(`Journal: ${journal.value.findings.join('; ')}`);
  if (!log.value.ok)
    return ok(`Log: record ${log.value.first_bad ?? '?'}: ${log.value.what ?? ''}`);
  return ok(undefined);
}
