import { describe, expect, test } from 'vitest';
import type { UpgradeFacts } from './index.ts';
import { upgradeLines, upgradeReport, wayBack } from './index.ts';

const good: UpgradeFacts = {
  version: '1.2.0',
  node: '24.21.0',
  running: { version: '1.1.3', role: 'alone', openConnections: 2, drainMs: 300_000 },
  schema: { found: 3, known: 4 },
  usesPostgres: false,
  configProblems: [],
  policyProblems: [],
  backup: { file: '/b/today.db', ageMs: 60_000 },
  stateBytes: 1_000_000,
  freeBytes: 10_000_000_000,
};

const { schema: _schema, ...fresh } = good;
const { backup: _backup, ...without } = good;

describe('the gate before an upgrade', () => {
  test('is open where everything is as it should be', () => {
    expect(upgradeReport(good)).toMatchObject({ verdict: 'pass', counts: { fail: 0, unknown: 0 } });
  });

  test.each<readonly [string, UpgradeFacts]>([
    ['upgrade-node', { ...good, node: '22.18.9' }],
    ['upgrade-version', { ...good, version: '1.1.2' }],
    ['upgrade-version', { ...good, version: '1.1.3-rc.1' }],
    ['upgrade-schema', { ...good, schema: { found: 5, known: 4 } }],
    ['upgrade-config', { ...good, configProblems: ['/providers: no'] }],
    ['upgrade-policy', { ...good, policyProblems: ['line 3: no'] }],
    ['upgrade-backup', { ...good, backup: { ageMs: 25 * 3_600_000 } }],
    ['upgrade-backup', without],
    ['upgrade-room', { ...good, freeBytes: 1_000_000 }],
  ])('%s is shut by its own fault, and nothing else is', (id, facts) => {
    const { findings } = upgradeReport(facts);
    expect(findings.filter(({ verdict }) => verdict === 'fail').map((each) => each.id)).toEqual([
      id,
    ]);
  });

  test('says what could not be looked at, and never that it is good', () => {
    const { freeBytes: _free, ...rest } = fresh;
    const report = upgradeReport({ ...rest, schemaProblem: 'The file is locked.' });
    expect(report.verdict).toBe('unknown');
    expect(report.counts.unknown).toBe(2);
  });

  test('lets a first start through', () => {
    const { running: _running, configProblems: _config, policyProblems: _policy, ...rest } = fresh;
    expect(upgradeReport(rest).verdict).toBe('pass');
  });

  test('tells the way back: a restore only where the schema moves', () => {
    expect(wayBack(good)).toMatch(/release 1\.1\.3 again, and restore \/b\/today\.db/);
    expect(wayBack({ ...good, schema: { found: 4, known: 4 } })).toBe(
      'To go back: stop Postern, install release 1.1.3 again, start it. The state stays as it is.',
    );
  });

  test('has a line for each id once', () => {
    const ids = upgradeLines.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
