import process from 'node:process';
import { openAuditFolder } from '../../packages/server/src/adapters/segment-file/index.ts';

/**
 * Writes to an audit log as fast as it is let and says on standard output up to where it is durable, until it is
 * killed. Checkpoints come all the time, and files are small, so that a kill hits every kind of write.
 */
const [dir = ''] = process.argv.slice(2);
process.once('SIGTERM', () => process.exit(0));
const opened = await openAuditFolder({
  dir,
  nowMs: Date.now,
  bounds: { segmentBytesMax: 60_000, reserveBytes: 100_000 },
});
if (!opened.ok) {
  process.stdout.write(`damaged ${opened.error.index} ${opened.error.what}\n`);
  process.exit(9);
}
const { log, checkpoint } = opened.value;
process.stdout.write(`open ${log.mark().head.size}\n`);
for (let turn = 0; ; turn += 1) {
  let index = 0;
  for (let n = 0; n < 1 + ((turn * 7) % 23); n += 1) {
    const fields = { n, text: 'x'.repeat((turn * 31 + n) % 200) };
    const taken = log.append({ kind: 'request', v: 1, atMs: Date.now(), fields });
    if (taken.ok) index = taken.value;
  }
  await log.whenDurable(index);
  process.stdout.write(`durable ${log.durableIndex}\n`);
  if (turn % 5 === 0) {
    const made = await checkpoint({ journal: undefined, witnesses: [`${dir}.witness`] });
    if (made !== undefined) process.stdout.write(`signed ${made.size}\n`);
  }
}
