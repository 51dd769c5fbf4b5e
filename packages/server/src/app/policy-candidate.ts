import { readFile, stat } from 'node:fs/promises';
import process from 'node:process';
import { utf8Text } from '@postern/core/base';
import { currentPolicy, policyDigest, stateLimits } from '@postern/core/state';
import type { Requester } from '../control/index.ts';
import type { Candidate, PolicyTools } from '../control/policy/index.ts';
import { applyPolicyText, planPolicy } from '../control/policy/index.ts';
import type { Logger } from '../observe/index.ts';

/** What this process does by itself. */
export const byProcess: Requester = {
  actor: { principal: `local:uid:${process.geteuid?.() ?? 'unknown'}`, channel: 'system' },
};

/** The policy file on disk. */
export async function readCandidate(file: string, autoApply: boolean): Promise<Candidate> {
  const unreadable = (problem: string): Candidate => ({
    file,
    text: undefined,
    problem,
    autoApply,
  });
  try {
    const { size } = await stat(file);
    // One character of UTF-16 takes up to three bytes of UTF-8.
    if (size > 3 * stateLimits.policyCharsMax) return unreadable(`it has ${size} bytes`);
    const text = utf8Text(await readFile(file));
    if (text === undefined) return unreadable('it is not UTF-8');
    return { file, text, problem: undefined, autoApply };
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error';
    return code === 'ENOENT'
      ? { file, text: undefined, problem: undefined, autoApply }
      : unreadable(`it cannot be read (${code})`);
  }
}

/** Looks at the file on disk: applies it where the configuration says so, else says that it waits. */
export class CandidateDesk {
  readonly #tools: PolicyTools;
  readonly #logger: Logger;
  #turn: Promise<void> = Promise.resolve();
  #lastSaid = '';

  constructor(tools: PolicyTools, logger: Logger) {
    this.#tools = tools;
    this.#logger = logger;
  }

  /** One look at a time. */
  look(): Promise<void> {
    return this.#inTurn(() => this.#look(false));
  }

  /**
   * At a start with a configuration file. The first policy ever comes into force by itself: nothing is in force that it
   * could widen or lock out, and whoever wrote it beside the configuration started this process with both.
   */
  lookFirst(): Promise<void> {
    return this.#inTurn(() => this.#look(this.#tools.control.snapshot().policy.lastNumber === 0));
  }

  #inTurn(look: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn
      .then(look)
      .catch((fault: unknown) => this.#logger.error({ err: fault }, 'fault'));
    return this.#turn;
  }

  async #look(isFirst: boolean): Promise<void> {
    const { control, ports } = this.#tools;
    // Where gateways share a state, the leader's file counts.
    if (control.role().kind === 'follower') return;
    const { file, text, problem, autoApply } = await ports.candidate();
    if (problem !== undefined)
      return this.#say(file, `the policy file counts for nothing: ${problem}`);
    const { policy } = control.snapshot();
    if (text === undefined) {
      if (isFirst)
        this.#say(file, 'no policy is in force and there is no policy file: all are refused');
      return;
    }
    if (text === currentPolicy(policy)?.text) return;
    if (!autoApply && !isFirst) {
      return this.#say(file, 'the policy file is not in force; see `postern policy plan`');
    }
    const what = { text, base: policyDigest(policy) };
    const applied = await applyPolicyText(this.#tools, { what, note: file }, byProcess);
    if (applied.ok) {
      const { number, digest } = applied.value.version;
      const message = isFirst
        ? 'policy in force: the first one, applied at the start'
        : 'policy in force';
      if (applied.value.isNew) this.#logger.info({ file, number, digest }, message);
      return;
    }
    const { code, message } = applied.error;
    if (code !== 'access_denied') return this.#say(file, `the policy file is refused: ${message}`);
    const planned = await planPolicy(this.#tools, what, byProcess);
    const id = planned.ok ? planned.value.plan?.id : undefined;
    this.#say(file, `the policy file waits for an approval: postern approve ${id ?? ''}`);
  }

  /** Once, not with every look. */
  #say(file: string, message: string): void {
    if (message === this.#lastSaid) return;
    this.#lastSaid = message;
    this.#logger.warn({ file, problem: message }, 'policy file');
  }
}
