import type { AlertsConfig } from '@postern/core/contract';
import { defaultConfig } from '@postern/core/contract/defaults';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '../../../../../test/fakes/gateway-clock.ts';
import type { Delivered } from '../../observe/trace/index.ts';
import type { ConditionName, Observed } from './conditions.ts';
import { conditionsOf } from './conditions.ts';
import { Courier, courierQueueMax, courierRetryMs } from './courier.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const nowMs = 1_795_323_600_000;
const quiet: Observed = {
  nowMs,
  startedAtMs: nowMs - 60_000,
  audit: { kind: 'good' },
  accounts: [],
  vitals: {
    backupAtMs: nowMs - hourMs,
    collateral: [],
    certificates: [],
    unreadable: [],
    nodeKeys: [],
  },
};
const config: AlertsConfig = defaultConfig.alerts;

function found(
  observed: Partial<Observed> & { readonly vitals?: Observed['vitals'] },
  firing: readonly string[] = [],
): readonly string[] {
  const isFiring = (name: ConditionName, subject: string): boolean =>
    firing.includes(`${name}:${subject}`);
  return conditionsOf(config, { ...quiet, ...observed }, isFiring).map(
    ({ name, subject }) => `${name}:${subject}`,
  );
}
const vitals = (more: Partial<Observed['vitals']>): { vitals: Observed['vitals'] } => ({
  vitals: { ...quiet.vitals, ...more },
});

describe('conditions', () => {
  test('nothing is told of a Postern that is well', () => {
    expect(found({})).toEqual([]);
  });

  test('the audit log takes no records', () => {
    expect(found({ audit: { kind: 'full', why: 'no space' } })).toEqual(['audit:']);
  });

  test('a budget account from 80 % on, until it is well below', () => {
    const at = (usedRatio: number) => ({ accounts: [{ account: 'team', usedRatio }] });
    expect(found(at(0.79))).toEqual([]);
    expect(found(at(0.8))).toEqual(['budget:team']);
    expect(found(at(0.76), ['budget:team'])).toEqual(['budget:team']);
    expect(found(at(0.74), ['budget:team'])).toEqual([]);
  });

  test('a certificate within 14 days of its end, and after it', () => {
    const ends = (ms: number) =>
      vitals({ certificates: [{ listener: 'public', expiresAtMs: nowMs + ms }] });
    expect(found(ends(14 * dayMs))).toEqual([]);
    expect(found(ends(14 * dayMs - 1))).toEqual(['certificate:public']);
    expect(found(ends(-dayMs))).toEqual(['certificate:public']);
  });

  test('a certificate that cannot be read ends no alert, and begins none', () => {
    const unreadable = vitals({ unreadable: ['public'] });
    expect(found(unreadable, ['certificate:public'])).toEqual(['certificate:public']);
    expect(found(unreadable)).toEqual([]);
    expect(found(vitals({}), ['certificate:public'])).toEqual([]);
  });

  test('the key of a machine within 7 days of its end', () => {
    const ends = (ms: number) => vitals({ nodeKeys: [{ name: 'gpu', expiresAtMs: nowMs + ms }] });
    expect(found(ends(8 * dayMs))).toEqual([]);
    expect(found(ends(6 * dayMs))).toEqual(['node-key:gpu']);
  });

  test('a backup older than two days, or none in two days', () => {
    expect(found(vitals({ backupAtMs: nowMs - 48 * hourMs }))).toEqual([]);
    expect(found(vitals({ backupAtMs: nowMs - 48 * hourMs - 1 }))).toEqual(['backup:']);
    expect(found(vitals({ backupAtMs: undefined }))).toEqual([]);
    const long = { startedAtMs: nowMs - 3 * dayMs, ...vitals({ backupAtMs: undefined }) };
    expect(found(long)).toEqual(['backup:']);
  });

  test('collateral that was not renewed for 30 days', () => {
    const old = (ms: number) => vitals({ collateral: [{ vendor: 'intel', atMs: nowMs - ms }] });
    expect(found(old(30 * dayMs))).toEqual([]);
    expect(found(old(31 * dayMs))).toEqual(['collateral:intel']);
  });
});

describe('a courier', () => {
  function rig(answer: () => Delivered) {
    const clock = createFakeClock();
    const sent: string[] = [];
    const lost: string[] = [];
    const courier = new Courier({
      deliver: (body) => {
        sent.push(body);
        return Promise.resolve(answer());
      },
      after: (ms, callback) => clock.after(ms, callback),
      onLost: (why) => lost.push(why),
    });
    return { clock, courier, sent, lost };
  }
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
  };

  test('tries six times within a quarter of an hour, in order, then gives up', async () => {
    const { clock, courier, sent, lost } = rig(() => ({ kind: 'later', why: 'away' }));
    courier.take('a');
    for (const ms of courierRetryMs) {
      await settled();
      clock.advance(ms);
    }
    await settled();
    expect(sent).toEqual(['a', 'a', 'a', 'a', 'a', 'a']);
    expect(lost).toEqual(['away']);
    expect(courier.counts).toEqual({ delivered: 0, failed: 1, dropped: 0 });
    expect(clock.pending).toBe(0);
    expect(courierRetryMs.reduce((sum, ms) => sum + ms, 0)).toBeLessThanOrEqual(15 * 60_000);
  });

  test('delivers each once to who takes it, and asks nobody twice who refuses', async () => {
    const taking = rig(() => ({ kind: 'taken', rejected: 0 }));
    taking.courier.take('a');
    taking.courier.take('b');
    await settled();
    expect(taking.sent).toEqual(['a', 'b']);
    const refusing = rig(() => ({ kind: 'refused', why: 'no' }));
    refusing.courier.take('a');
    await settled();
    expect(refusing.sent).toEqual(['a']);
    expect(refusing.lost).toEqual(['no']);
  });

  test('what waits is bounded, and the newest is kept', async () => {
    const { clock, courier, sent } = rig(() => ({ kind: 'later', why: 'away' }));
    for (let i = 0; i < courierQueueMax + 5; i += 1) courier.take(`${i}`);
    expect(courier.counts.dropped).toBe(4);
    await settled();
    courier.close();
    await settled();
    expect(sent).toEqual(['0']);
    expect(clock.pending).toBe(0);
  });
});
