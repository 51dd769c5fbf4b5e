import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown, table } from '../../output/table.ts';

export const run: Run = async ({ io }) => {
  const answer = await clientFor(io).json({ method: 'GET', path: '/api/v1/mesh' });
  if (!answer.ok) {
    io.err(answer.error.message);
    return answer.error.exit;
  }
  if (io.json) io.outJson(answer.value);
  else io.out(page(object(answer.value)));
  return exitCodes.ok;
};

function object(value: JsonValue | undefined): JsonObject {
  return value !== undefined && isJsonObject(value) ? value : {};
}

function page(status: JsonObject): string {
  const identity = object(status['identity']);
  const problem = identity['problem'];
  const listeners = Array.isArray(status['listeners']) ? status['listeners'].map(object) : [];
  const ejected = Array.isArray(status['ejected']) ? status['ejected'] : [];
  const counters = Object.entries(object(status['counters']));
  return [
    `certificate  by ${shown(identity['source'])}, until ${shown(identity['not_after'])}, renewed ${shown(identity['renewals'])} times`,
    ...(typeof problem === 'string' ? [`PROBLEM      ${problem}`] : []),
    '',
    table(
      ['door', 'address', 'connections'],
      listeners.map((each) => [
        shown(each['kind']),
        shown(each['address']),
        shown(each['connections']),
      ]),
    ),
    '',
    table(
      ['what happened', 'times'],
      counters.map(([name, times]) => [words(name), shown(times)]),
    ),
    ...ejected.map((each) => `left out for now: ${shown(each)}`),
  ].join('\n');
}

/** `inboundRefused` → `inbound refused`. */
function words(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
