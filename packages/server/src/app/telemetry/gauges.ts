import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import type { TargetState } from '../../gateway/index.ts';
import type { MetricSource, Sheet } from '../../observe/metrics/index.ts';
import { meshGauges } from './mesh-gauges.ts';
import type { TelemetryView } from './view.ts';
import { readVitals } from './vitals.ts';

const msPerSecond = 1_000;
const microsPerSecond = 1e6;
const nanosPerSecond = 1e9;

/** What is read from the process when a scrape comes. Loaded with the first one. */
export function gaugesOf(view: TelemetryView): readonly MetricSource[] {
  return [
    (sheet) => writeProcess(sheet, view),
    loopDelay(),
    (sheet) => writeFleet(sheet, view),
    meshGauges(() => view.mesh?.()),
    (sheet) => writeMoney(sheet, view),
    (sheet) => writeRecords(sheet, view),
    (sheet) => writeVitals(sheet, view),
  ];
}

function writeProcess(sheet: Sheet, view: TelemetryView): void {
  sheet.put('postern_build_info', 1, view.version, process.version);
  sheet.put('postern_start_timestamp_seconds', view.startedAtMs / msPerSecond);
  sheet.put('postern_ready', bit(view.isReady()));
  const { user, system } = process.cpuUsage();
  sheet.put('postern_cpu_seconds_total', user / microsPerSecond, 'user');
  sheet.put('postern_cpu_seconds_total', system / microsPerSecond, 'system');
  const memory = process.memoryUsage();
  sheet.put('postern_resident_memory_bytes', memory.rss);
  sheet.put('postern_heap_used_bytes', memory.heapUsed);
  const open = new Map<string, number>();
  for (const { kind, connections } of view.listeners())
    open.set(kind, (open.get(kind) ?? 0) + connections);
  for (const [kind, connections] of open) sheet.put('postern_open_connections', connections, kind);
}

/** From the first scrape on: a process that nobody watches has no timer for it. */
function loopDelay(): MetricSource {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  return (sheet) => {
    if (delay.count > 0) {
      const put = (stat: string, nanos: number): void =>
        sheet.put('postern_event_loop_delay_seconds', nanos / nanosPerSecond, stat);
      put('p50', delay.percentile(50));
      put('p99', delay.percentile(99));
      put('max', delay.max);
    }
    delay.reset();
  };
}

function writeFleet(sheet: Sheet, { deployment }: TelemetryView): void {
  const { fleet } = deployment().view();
  const { counters } = fleet;
  sheet.put('postern_upstream_attempts_total', counters.attempts);
  sheet.put('postern_upstream_failures_total', counters.failures);
  sheet.put('postern_upstream_retries_total', counters.retries, 'made');
  sheet.put('postern_upstream_retries_total', counters.retriesDenied, 'denied');
  sheet.put('postern_fallbacks_total', counters.fallbacks);
  sheet.put('postern_queue_requests_total', counters.queued, 'entered');
  sheet.put('postern_queue_requests_total', counters.queueFull, 'full');
  sheet.put('postern_queue_requests_total', counters.queueLate, 'late');
  sheet.put('postern_queue_requests_total', counters.queueLeft, 'left');
  sheet.put('postern_breaker_changes_total', counters.breakerOpened, 'open');
  sheet.put('postern_breaker_changes_total', counters.breakerClosed, 'closed');
  sheet.put('postern_wakes_total', counters.wakes, 'asked');
  sheet.put('postern_wakes_total', counters.wakesFailed, 'failed');
  sheet.put('postern_health_checks_failed_total', counters.checksFailed);
  writePlaces(sheet, fleet.states());
}

type Places = ReturnType<
  ReturnType<ReturnType<TelemetryView['deployment']>['view']>['fleet']['states']
>;

/** Sums of each provider: the places of one may be thousands of machines, and their addresses are nobody's label. */
function writePlaces(sheet: Sheet, places: Places): void {
  const states = new Map<string, Map<TargetState, number>>();
  const sums = new Map<string, { running: number; queued: number; open: number; trying: number }>();
  for (const { provider, state, inFlight, queued, breakers } of places) {
    const counted = states.get(provider) ?? new Map<TargetState, number>();
    states.set(provider, counted.set(state, (counted.get(state) ?? 0) + 1));
    const sum = sums.get(provider) ?? { running: 0, queued: 0, open: 0, trying: 0 };
    sum.running += inFlight;
    sum.queued += queued;
    sum.open += breakers.filter(({ breaker }) => breaker.kind === 'open').length;
    sum.trying += breakers.filter(({ breaker }) => breaker.kind === 'probation').length;
    sums.set(provider, sum);
  }
  for (const [provider, counted] of states)
    for (const [state, count] of counted) sheet.put('postern_places', count, provider, state);
  for (const [provider, { running, queued, open, trying }] of sums) {
    sheet.put('postern_place_requests', running, provider, 'running');
    sheet.put('postern_place_requests', queued, provider, 'queued');
    sheet.put('postern_breakers', open, provider, 'open');
    sheet.put('postern_breakers', trying, provider, 'probation');
  }
}

async function writeMoney(sheet: Sheet, { deployment, money }: TelemetryView): Promise<void> {
  sheet.put('postern_money_available', bit(money.ledger()?.failure === undefined));
  const budgets = await budgetsOf(deployment());
  for (const [budget, sum] of budgets) {
    for (const kind of ['capacity', 'remaining', 'held', 'spent', 'lost'] as const)
      sheet.put('postern_budget_usd', sum[kind], budget, kind);
    sheet.put('postern_budget_accounts', sum.accounts, budget);
    sheet.put('postern_budget_used_ratio', sum.usedRatio, budget);
  }
}

export interface BudgetSum {
  capacity: number;
  remaining: number;
  held: number;
  spent: number;
  lost: number;
  accounts: number;
  /** Of its fullest account. */
  usedRatio: number;
}

/** Budgets of the configuration with their accounts added up; empty while their store does not answer. */
export async function budgetsOf(
  deployment: ReturnType<TelemetryView['deployment']>,
): Promise<ReadonlyMap<string, BudgetSum>> {
  const sums = new Map<string, BudgetSum>();
  const accounts = await deployment.view().money?.desk.accounts();
  if (accounts?.ok !== true) return sums;
  for (const account of accounts.value) {
    const sum = sums.get(account.budget) ?? {
      capacity: 0,
      remaining: 0,
      held: 0,
      spent: 0,
      lost: 0,
      accounts: 0,
      usedRatio: 0,
    };
    sums.set(account.budget, sum);
    const capacity = Number(account.capacity_usd);
    const remaining = Number(account.remaining_usd);
    sum.capacity += capacity;
    sum.remaining += remaining;
    sum.held += Number(account.held_usd);
    sum.spent += Number(account.spent_usd);
    sum.lost += Number(account.lost_usd);
    sum.accounts += 1;
    if (capacity > 0) sum.usedRatio = Math.max(sum.usedRatio, 1 - remaining / capacity);
  }
  return sums;
}

function writeRecords(sheet: Sheet, { audit, snapshot, issuerKeys }: TelemetryView): void {
  sheet.put('postern_audit_records', audit.folder.log.mark().head.size);
  sheet.put('postern_audit_durable_records', audit.log.durableIndex);
  sheet.put('postern_audit_available', bit(audit.log.health.kind === 'good'));
  sheet.put('postern_audit_refused_records_total', audit.log.refused);
  const { index, keysByName, revocationsById, network } = snapshot();
  sheet.put('postern_journal_records', index);
  sheet.put('postern_keys', keysByName.size);
  sheet.put('postern_revocations', revocationsById.size);
  sheet.put('postern_nodes', network.nodesById.size);
  const ageMs = issuerKeys.oldestAgeMs();
  if (ageMs !== undefined) sheet.put('postern_jwks_age_seconds', ageMs / msPerSecond);
}

async function writeVitals(sheet: Sheet, view: TelemetryView): Promise<void> {
  const now = view.nowMs();
  const { stateDir, deployment, snapshot } = view;
  const vitals = await readVitals({
    stateDir,
    config: deployment().config,
    snapshot: snapshot(),
    nowMs: now,
  });
  const { backupAtMs, collateral, certificates, nodeKeys } = vitals;
  if (backupAtMs !== undefined)
    sheet.put('postern_backup_age_seconds', (now - backupAtMs) / msPerSecond);
  for (const { vendor, atMs } of collateral)
    sheet.put('postern_collateral_age_seconds', (now - atMs) / msPerSecond, vendor);
  for (const { listener, expiresAtMs } of certificates)
    sheet.put('postern_certificate_expiry_timestamp_seconds', expiresAtMs / msPerSecond, listener);
  const first = nodeKeys[0];
  if (first !== undefined)
    sheet.put('postern_node_key_expiry_timestamp_seconds', first.expiresAtMs / msPerSecond);
}

function bit(isSo: boolean): number {
  return isSo ? 1 : 0;
}
