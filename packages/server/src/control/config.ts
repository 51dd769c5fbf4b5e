import type { Result } from '@postern/core/base';
import { ok, present } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { ConfigGeneration } from '@postern/core/state';
import type { Control, Requester } from './control.ts';

/** What is wrong with a configuration text. */
export interface ConfigFinding {
  /** JSON pointer of the value at fault; empty for the text as a whole. */
  readonly pointer: string;
  readonly message: string;
}

/** Reads a configuration text as the planes would, and says what is wrong; empty where it would be taken. */
export type CheckConfig = (text: string) => readonly ConfigFinding[];

export interface ConfigRequest {
  readonly text: string;
  /** The generation that the writer read; another one in force is a conflict. */
  readonly expected?: number;
  readonly note?: string;
}

/**
 * Puts a configuration in force: refused where it does not check, since a running gateway is worth more than a new
 * file. Applying the text that is in force already makes no new generation.
 */
export async function applyConfig(
  control: Control,
  check: CheckConfig,
  request: ConfigRequest,
  by: Requester,
): Promise<Result<ConfigGeneration, Refusal>> {
  const [finding, ...others] = check(request.text);
  if (finding !== undefined) {
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
    const where = finding.pointer === '' ? '' : `${finding.pointer}: `;
    const refused = refuse('invalid_request', `${where}${finding.message}${more}`, {
      param: 'text',
    });
    control.record({
      atMs: control.system.nowMs(),
      operation: 'config.apply',
      actor: by.actor,
      ...(by.requestId === undefined ? {} : { requestId: by.requestId }),
      outcome: 'refused',
      code: 'invalid_request',
    });
    return refused;
  }
  const digest = control.system.sha256Hex(request.text);
  const done = await control.execute({ kind: 'config.apply', ...request, digest }, by);
  if (!done.ok) return done;
  const applied = done.value.events.find((event) => event.kind === 'config.applied');
  if (applied !== undefined) return ok(applied.generation);
  return ok(present(done.value.snapshot.generations[0], 'the generation in force'));
}
