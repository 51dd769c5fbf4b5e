import type { AuditConfig } from './config-audit.ts';
import type { AlertsConfig } from './config-telemetry.ts';
import type { Config } from './config.ts';

const audit: AuditConfig = {
  witness: [],
  checkpointSeconds: 60,
  whenUnavailable: 'refuse',
  retentionDays: 30,
};

const alerts: AlertsConfig = {
  webhooks: [],
  budgetPercent: 80,
  certificateDays: 14,
  nodeKeyDays: 7,
  backupHours: 48,
  collateralDays: 30,
  repeatHours: 24,
};

const limits: Config['limits'] = Object.freeze({
  bodyBytes: 33_554_432,
  connections: 10_000,
  connectionsPerSource: 1_000,
  bodyPauseMs: 15_000,
  drainDelayMs: 0,
  drainMs: 300_000,
  heartbeatMs: 15_000,
  named: {},
  whenStoreDown: 'refuse',
});

/**
 * The configuration of an empty file, as a value: a start without a file needs neither the schemas nor their library,
 * which are 9 MB of an idle process. A test holds it equal to what the schema gives.
 */
export const defaultConfig: Config = Object.freeze({
  providers: {},
  aliases: {},
  listeners: {
    gateway: { hosts: [] },
    serve: { enabled: false, hosts: [] },
    admin: { hosts: [], enabled: true },
  },
  trustedProxies: [],
  trustLoopback: false,
  identities: { issuers: [], map: [] },
  policy: {
    autoApply: false,
    protect: { paths: [], capabilities: [], logins: [], crownJewels: [] },
  },
  mcp: { readOnly: false },
  limits,
  budgets: {},
  prices: {},
  audit,
  telemetry: { openMetrics: false },
  alerts,
});
