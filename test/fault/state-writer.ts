/**
 * A process that changes the state as fast as it can, until somebody kills it. Each acknowledgement is written to its
 * standard output before the next one is waited for; what stands there must be there after any crash.
 */
import { writeSync } from 'node:fs';
import { createNodeSystem } from '@postern/server/adapters/system-node';
import { openSqliteStore } from '@postern/server/adapters/store-sqlite';
import type { Control, Requester } from '@postern/server/control';
import { applyConfig, createControl, createKey, revokeKey } from '@postern/server/control';

process.once('SIGTERM', () => process.exit(0));
const [dir = '', prefix = ''] = process.argv.slice(2);
const by: Requester = { actor: { principal: 'local:uid:0', channel: 'system' } };

function acknowledge(line: string): void {
  writeSync(1, `${line}\n`);
}

/** One of several writers at once: a key, now and then its revocation, now and then a configuration. */
async function write(control: Control, writer: number): Promise<never> {
  for (let i = 0; ; i += 1) {
    const name = `${prefix}-${writer}-${i}`;
    const made = await createKey(control, { name, scope: {}, boundTo: [] }, by);
    if (made.ok) acknowledge(`key ${name}`);
    if (i % 3 === 0) {
      const done = await revokeKey(control, { key: name, withChildren: false }, by);
      if (done.ok) acknowledge(`revoked ${name}`);
    }
    if (i % 5 === 0) {
      const text = JSON.stringify({ name });
      const applied = await applyConfig(control, () => [], { text }, by);
      if (applied.ok) acknowledge(`config ${applied.value.number} ${name}`);
    }
  }
}

const store = await openSqliteStore(dir);
if (!store.ok) throw new Error(store.error.message);
const control = await createControl({ store: store.value, system: createNodeSystem() });
if (!control.ok) throw new Error(control.error.message);
acknowledge(`open ${control.value.snapshot().index}`);
const started = control.value;
await Promise.all([1, 2, 3, 4].map((writer) => write(started, writer)));
