import { hostname } from 'node:os';
import type { AlertsConfig } from '@postern/core/contract';
import { secretReader } from '../../adapters/secrets/index.ts';
import { createWebhook } from '../../adapters/telemetry-http/index.ts';
import type { Sheet } from '../../observe/metrics/index.ts';
import type { Condition, ConditionName, Observed } from './conditions.ts';
import { conditionNames, conditionsOf } from './conditions.ts';
import { Courier } from './courier.ts';
import type { TelemetryView } from './view.ts';
import { readVitals } from './vitals.ts';

/** Between two looks: none of the conditions is a matter of seconds. */
export const lookMs = 30_000;
/** After a start or a new configuration: what is wrong from the beginning should not wait. */
const firstLookMs = 1_000;
/** Of one delivery; what is beyond is told as a number. */
const toldMax = 100;
/** Between complaints about webhooks that do not answer. */
const complainMs = 60_000;
const hourMs = 3_600_000;

interface Firing {
  readonly condition: Condition;
  readonly sinceMs: number;
  toldAtMs: number;
}

/** Looks at the conditions and tells what begins, goes on and ends. */
export class Alarm {
  readonly #view: TelemetryView;
  readonly #firing = new Map<string, Firing>();
  readonly #past = { delivered: 0, failed: 0, dropped: 0 };
  #config: AlertsConfig | undefined;
  #configured = '';
  #isClosed = false;
  #couriers: readonly Courier[] = [];
  /** Receivers that were away until a delivery was given up. */
  readonly #behind = new Set<Courier>();
  #timer: { clear(): void } | undefined;
  #complainedAtMs = Number.NEGATIVE_INFINITY;

  constructor(view: TelemetryView) {
    this.#view = view;
  }

  configure(config: AlertsConfig): void {
    this.#config = config;
    const text = JSON.stringify(config.webhooks);
    if (text !== this.#configured) {
      this.#configured = text;
      this.#dismiss();
      this.#couriers = config.webhooks.map((webhook) => this.#courierOf(webhook));
      // Who is new has been told nothing yet.
      for (const each of this.#firing.values()) each.toldAtMs = Number.NEGATIVE_INFINITY;
    }
    this.#arm(firstLookMs);
  }

  write(sheet: Sheet): void {
    const counts = { ...this.#past };
    for (const courier of this.#couriers) addTo(counts, courier.counts);
    for (const result of ['delivered', 'failed', 'dropped'] as const)
      sheet.put('postern_alerts_total', counts[result], result);
    const firing = [...this.#firing.values()];
    for (const name of conditionNames) {
      const count = firing.filter(({ condition }) => condition.name === name).length;
      sheet.put('postern_alerts_firing', count, name);
    }
  }

  /** Looks now. */
  async look(): Promise<void> {
    const config = this.#config;
    if (config === undefined || this.#couriers.length === 0) return;
    const observed = await this.#observe();
    const { nowMs } = observed;
    const now = conditionsOf(config, observed, (name, subject) =>
      this.#firing.has(keyOf(name, subject)),
    );
    const told = [...this.#begunAndRepeated(now, nowMs, config), ...this.#ended(now)];
    for (const courier of this.#couriers) this.#tell(courier, told, nowMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.clear();
    this.#dismiss();
  }

  #begunAndRepeated(
    now: readonly Condition[],
    nowMs: number,
    config: AlertsConfig,
  ): readonly Told[] {
    return now.flatMap((condition) => {
      const key = keyOf(condition.name, condition.subject);
      const before = this.#firing.get(key);
      if (before !== undefined && nowMs - before.toldAtMs < config.repeatHours * hourMs) return [];
      const sinceMs = before?.sinceMs ?? nowMs;
      this.#firing.set(key, { condition, sinceMs, toldAtMs: nowMs });
      return [{ status: 'firing' as const, condition, sinceMs }];
    });
  }

  #ended(now: readonly Condition[]): readonly Told[] {
    const held = new Set(now.map(({ name, subject }) => keyOf(name, subject)));
    return [...this.#firing].flatMap(([key, { condition, sinceMs, toldAtMs }]) => {
      if (held.has(key)) return [];
      this.#firing.delete(key);
      const wasTold = toldAtMs !== Number.NEGATIVE_INFINITY;
      return wasTold ? [{ status: 'resolved' as const, condition, sinceMs }] : [];
    });
  }

  /** What is new; to whoever missed something everything that goes on. */
  #tell(courier: Courier, news: readonly Told[], nowMs: number): void {
    const told = this.#behind.delete(courier)
      ? [
          ...[...this.#firing.values()].map((each): Told => ({ status: 'firing', ...each })),
          ...news.filter(({ status }) => status === 'resolved'),
        ]
      : news;
    if (told.length === 0) return;
    const body = JSON.stringify({
      version: 1,
      at: new Date(nowMs).toISOString(),
      host: hostname(),
      alerts: told.slice(0, toldMax).map(({ status, condition, sinceMs }) => ({
        status,
        condition: condition.name,
        subject: condition.subject,
        summary: condition.summary,
        since: new Date(sinceMs).toISOString(),
      })),
      more: Math.max(0, told.length - toldMax),
    });
    courier.take(body);
  }

  async #observe(): Promise<Observed> {
    const { nowMs, startedAtMs, audit, deployment, stateDir, snapshot } = this.#view;
    const now = nowMs();
    const current = deployment();
    const { config } = current;
    const [vitals, accounts] = await Promise.all([
      readVitals({ stateDir, config, snapshot: snapshot(), nowMs: now }),
      current.view().money?.desk.accounts(),
    ]);
    return {
      nowMs: now,
      startedAtMs,
      audit: audit.log.health,
      vitals,
      accounts:
        accounts?.ok !== true
          ? this.#accountsBefore()
          : accounts.value.map(({ account, capacity_usd: capacity, remaining_usd: remaining }) => ({
              account,
              usedRatio: Number(capacity) > 0 ? 1 - Number(remaining) / Number(capacity) : 0,
            })),
    };
  }

  /** While the store of budgets is silent, what was so is so: an outage ends no alert. */
  #accountsBefore(): Observed['accounts'] {
    return [...this.#firing.values()]
      .filter(({ condition }) => condition.name === 'budget')
      .map(({ condition }) => ({ account: condition.subject, usedRatio: 1 }));
  }

  #courierOf({ url, secret }: AlertsConfig['webhooks'][number]): Courier {
    const { egress, nowMs, env, clock } = this.#view;
    const read = secretReader(secret, { env, nowMs, egress });
    const courier: Courier = new Courier({
      deliver: createWebhook({ egress, url, secret: read, nowMs }),
      after: (ms, callback) => clock.after(ms, callback),
      onLost: (why, isAway) => {
        this.#complain(why);
        if (isAway) this.#behind.add(courier);
      },
    });
    return courier;
  }

  #dismiss(): void {
    for (const courier of this.#couriers) {
      courier.close();
      addTo(this.#past, courier.counts);
    }
    this.#couriers = [];
    this.#behind.clear();
  }

  #arm(ms: number): void {
    this.#timer?.clear();
    this.#timer = this.#view.clock.after(ms, () => {
      void this.look()
        .catch((fault: unknown) => this.#view.logger.error({ err: fault }, 'alerts'))
        .finally(() => {
          if (!this.#isClosed) this.#arm(lookMs);
        });
    });
  }

  #complain(why: string): void {
    const now = this.#view.nowMs();
    if (now - this.#complainedAtMs < complainMs) return;
    this.#complainedAtMs = now;
    this.#view.logger.warn({ why }, 'an alert was not delivered');
  }
}

interface Told {
  readonly status: 'firing' | 'resolved';
  readonly condition: Condition;
  readonly sinceMs: number;
}

type Counts = Record<'delivered' | 'failed' | 'dropped', number>;

function addTo(sum: Counts, more: Counts): void {
  sum.delivered += more.delivered;
  sum.failed += more.failed;
  sum.dropped += more.dropped;
}

function keyOf(name: ConditionName, subject: string): string {
  return `${name}\n${subject}`;
}
