import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { z } from '@hono/zod-openapi';
import { ok } from '@postern/core/base';
import { authorityOf } from '../policy/index.ts';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import { backupSchema, statusSchema, verifySchema } from './schemas.ts';
import { isoTime } from './views.ts';

export const stateOperations: readonly AnyOperation[] = [
  operation({
    name: 'status.show',
    summary: 'Show how the state is.',
    changes: false,
    method: 'get',
    path: '/status',
    status: 200,
    output: statusSchema,
    run: async ({ control, policy }) => {
      const { store, ...status } = await control.status();
      const state = control.snapshot().policy;
      const { versions, pending } = state;
      const alarm = policy.alarm();
      return ok({
        store: store.kind,
        ...(store.kind === 'good' ? {} : { store_message: store.why }),
        journal_index: status.index,
        head_hash: status.headHash,
        keys: status.keys,
        revocations: status.revocations,
        config_generation: status.generation,
        queued: status.queued,
        authority: authorityOf(policy.tools.ports, state),
        policy_version: versions[0]?.number ?? 0,
        ...(pending === undefined ? {} : { policy_trial_until: isoTime(pending.deadlineMs) }),
        ...(alarm === undefined ? {} : { policy_alarm: alarm }),
      });
    },
  }),
  operation({
    name: 'backup.create',
    summary: 'Make a backup while everything runs on, in the backups folder of the state.',
    changes: false,
    method: 'post',
    path: '/backups',
    status: 201,
    output: backupSchema,
    run: async ({ control, backupsDir }) => {
      await mkdir(backupsDir, { recursive: true, mode: 0o700 });
      const { nowMs, newId } = control.system;
      const day = isoTime(nowMs()).replaceAll(':', '').slice(0, 17);
      const file = join(backupsDir, `${day}Z-${newId()}.postern-backup`);
      const made = await control.backup(file);
      if (!made.ok) return made;
      const manifest = made.value;
      return ok({
        file,
        created_at: isoTime(manifest.createdAtMs),
        schema_version: manifest.schema,
        records: manifest.records,
        head_index: manifest.headIndex,
        head_hash: manifest.headHash,
        bytes: manifest.bytes,
        sha256: manifest.sha256,
      });
    },
  }),
  operation({
    name: 'state.verify',
    summary: 'Read the whole journal and recompute every hash.',
    changes: false,
    method: 'post',
    path: '/verify',
    status: 200,
    output: verifySchema,
    run: async ({ control }) => {
      const report = await control.verify();
      if (!report.ok) return report;
      const { intact, records, head, findings } = report.value;
      return ok({
        intact,
        records,
        head_index: head.index,
        head_hash: head.hash,
        findings: [...findings],
      });
    },
  }),
  operation({
    name: 'openapi.show',
    summary: 'Show this description.',
    changes: false,
    method: 'get',
    path: '/openapi.json',
    status: 200,
    output: z.record(z.string(), z.unknown()).openapi('OpenApi'),
    run: async () => {
      const { openApiDocument } = await import('./openapi.ts');
      return ok(openApiDocument());
    },
  }),
];
