import type { JsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { ExitCode, Invocation } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { table } from '../../output/table.ts';
import { object, objects, refused, text } from './answer.ts';

/** One approval for all that wait at their sign-in page: after a loss everybody asks at once. */
export async function approveWaiting(
  { options, io }: Invocation,
  as: JsonObject,
): Promise<ExitCode> {
  const client = clientFor(io);
  const status = await client.json({ method: 'GET', path: '/api/v1/network' });
  if (!status.ok) return refused(io, status.error);
  const waiting = objects(object(status.value)['waiting_for_sign_in']);
  if (options['yes'] !== true) {
    if (io.json) io.outJson({ approved: [], waiting });
    else if (waiting.length === 0) io.out('Nothing waits.');
    else io.out(`${waitingRows(waiting)}\n\nNothing was changed. To let all of them in add --yes.`);
    return exitCodes.ok;
  }
  const approved: JsonObject[] = [];
  const failed: JsonObject[] = [];
  for (const each of waiting) {
    const path = `/api/v1/nodes/${encodeURIComponent(text(each['id']))}/approve`;
    const done = await client.json({ method: 'POST', path, body: as });
    if (done.ok) approved.push(object(done.value));
    else failed.push({ hostname: text(each['hostname']), reason: done.error.message });
  }
  if (io.json) io.outJson({ approved, failed });
  else {
    const names = approved.map((node) => text(node['name']));
    io.out(`Approved: ${names.length === 0 ? 'none' : names.join(', ')}.`);
    for (const each of failed) io.err(`${text(each['hostname'])}: ${text(each['reason'])}`);
  }
  return failed.length === 0 ? exitCodes.ok : exitCodes.failed;
}

function waitingRows(waiting: readonly JsonObject[]): string {
  return table(
    ['asks to join', 'system', 'machine key'],
    waiting.map((each) => [
      text(each['hostname']) || '?',
      text(each['os']) || '-',
      text(each['machine_key']),
    ]),
  );
}
