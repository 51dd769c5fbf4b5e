import { readFile, stat } from 'node:fs/promises';
import process from 'node:process';
import { assert, utf8Text } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { IdentityMap } from '@postern/core/identity';
import { createIdentityMap } from '@postern/core/identity';
import type { Inventory, parsePolicyText } from '@postern/core/policy';
import type { PolicyVersion, State } from '@postern/core/state';
import { currentPolicy, policyDigest, stateLimits } from '@postern/core/state';
import type { createAccessPolicy } from '../adapters/access-policy/index.ts';
import { principalOfKey } from '../adapters/identity-keys/index.ts';
import type { Control, Requester } from '../control/index.ts';
import type { Candidate, PolicyPorts, PolicyTools, TrialClock } from '../control/policy/index.ts';
import { applyPolicyText, planPolicy, revisionOf, watchTrial } from '../control/policy/index.ts';
import type { AccessPolicy } from '../gateway/index.ts';
import type { Logger } from '../observe/index.ts';
import type { Settings } from './settings.ts';
import { policyFileOf } from './settings.ts';
import { watchFile } from './watch.ts';

export interface PolicyPlaneOptions {
  readonly control: Control;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock: TrialClock;
  /** The configuration in force now. */
  readonly config: () => Config;
}

/** The policy of this process: what decides requests by it, and how it changes. */
export interface PolicyPlane {
  readonly tools: PolicyTools;
  /** Why a trial that is over could not be taken back. */
  alarm(): string | undefined;
  /** Called for every request: the same value until policy or network change. */
  access(): AccessPolicy | undefined;
  /** Before anything is served: ends a trial that is over, loads the policy, applies the file where that is wanted. */
  begin(): Promise<void>;
  /** Looks at the file again. */
  look(): Promise<void>;
  close(): void;
}

/** Without an engine nobody and nothing is on a network: the selectors of principals decide. */
const emptyInventory: Inventory = Object.freeze({ users: [], nodes: [] });

/** No limit and no budget has a name yet. */
const noNames: ReadonlySet<string> = new Set();

const byProcess: Requester = {
  actor: { principal: `local:uid:${process.geteuid?.() ?? 'unknown'}`, channel: 'system' },
};

export function createPolicyPlane(options: PolicyPlaneOptions): PolicyPlane {
  const { control, settings, logger } = options;
  const ending = new AbortController();
  const decisions = new PolicyDecider(control, logger);
  const file = policyFileOf(settings);
  let identities: { config: Config; map: IdentityMap } | undefined;
  const identityMap = (): IdentityMap => {
    const config = options.config();
    if (identities?.config !== config) {
      identities = { config, map: createIdentityMap(config.identities.map) };
    }
    return identities.map;
  };
  const ports: PolicyPorts = {
    inventory: () => emptyInventory,
    names: () => ({ limits: noNames, budgets: noNames }),
    principalOfKey: (key) => principalOfKey(key, identityMap()),
    prepare: () => decisions.load(),
    otherAuthority: () => (settings.configFile === undefined ? 'zero-config' : 'access table'),
    candidate: () => readCandidate(file, options.config().policy.autoApply),
    approved: () => void desk.look(),
  };
  const tools: PolicyTools = { control, ports };
  const desk = new CandidateDesk(tools, logger);
  const trial = watchTrial(
    {
      control,
      clock: options.clock,
      by: byProcess,
      onRolledBack: (digest) =>
        logger.warn({ digest }, 'nobody confirmed the policy; the one before is in force again'),
      onAlarm: (message) => logger.error({ problem: message }, 'policy alarm'),
    },
    ending.signal,
  );
  const watcher =
    settings.configFile === undefined
      ? undefined
      : watchFile(
          file,
          () => void desk.look(),
          (message) => logger.warn({ file, message }, 'the policy file is not watched'),
        );
  return {
    tools,
    alarm: () => trial.alarm(),
    access: () => decisions.current(control.snapshot()),
    begin: async () => {
      await trial.settle();
      if (currentPolicy(control.snapshot().policy) !== undefined) await decisions.load();
      control.subscribe((snapshot) => decisions.current(snapshot), ending.signal);
      await desk.look();
    },
    look: () => desk.look(),
    close: () => {
      ending.abort();
      watcher?.close();
    },
  };
}

interface Decider {
  readonly createAccessPolicy: typeof createAccessPolicy;
  readonly parsePolicyText: typeof parsePolicyText;
}

/** Compiles a policy when it comes into force, before its commit is acknowledged. */
class PolicyDecider {
  readonly #control: Control;
  readonly #logger: Logger;
  #decider: Decider | undefined;
  #compiled: { readonly version: PolicyVersion; readonly access: AccessPolicy } | undefined;

  constructor(control: Control, logger: Logger) {
    this.#control = control;
    this.#logger = logger;
  }

  /** The engine is loaded with the first policy: who has none never pays for it. */
  async load(): Promise<void> {
    if (this.#decider !== undefined) return;
    const [adapter, engine] = await Promise.all([
      import('../adapters/access-policy/index.ts'),
      import('@postern/core/policy'),
    ]);
    this.#decider = {
      createAccessPolicy: adapter.createAccessPolicy,
      parsePolicyText: engine.parsePolicyText,
    };
    this.current(this.#control.snapshot());
  }

  current(state: State): AccessPolicy | undefined {
    const version = currentPolicy(state.policy);
    if (version === undefined) return undefined;
    if (this.#compiled?.version.digest === version.digest) return this.#compiled.access;
    const access = this.#compile(version);
    this.#compiled = { version, access };
    return access;
  }

  #compile({ digest, text }: PolicyVersion): AccessPolicy {
    const decider = this.#decider;
    assert(decider !== undefined, 'the engine is loaded before a policy comes into force');
    const parsed = decider.parsePolicyText(text);
    if (parsed.accepted) {
      return decider.createAccessPolicy({ file: parsed.file, revision: revisionOf(digest) });
    }
    // A release that reads policies more strictly: half of a policy is no policy.
    const problem = parsed.refusal ?? 'it cannot be read';
    this.#logger.error(
      { digest, problem },
      'the policy in force cannot be read; nobody is allowed',
    );
    const { file } = decider.parsePolicyText('{"grants": []}');
    return decider.createAccessPolicy({ file, revision: revisionOf(digest) });
  }
}

async function readCandidate(file: string, autoApply: boolean): Promise<Candidate> {
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
class CandidateDesk {
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
    this.#turn = this.#turn
      .then(() => this.#look())
      .catch((fault: unknown) => this.#logger.error({ err: fault }, 'fault'));
    return this.#turn;
  }

  async #look(): Promise<void> {
    const { control, ports } = this.#tools;
    const { file, text, problem, autoApply } = await ports.candidate();
    if (problem !== undefined)
      return this.#say(file, `the policy file counts for nothing: ${problem}`);
    const { policy } = control.snapshot();
    if (text === undefined || text === currentPolicy(policy)?.text) return;
    if (!autoApply) {
      return this.#say(file, 'the policy file is not in force; see `postern policy plan`');
    }
    const what = { text, base: policyDigest(policy) };
    const applied = await applyPolicyText(this.#tools, { what, note: file }, byProcess);
    if (applied.ok) {
      const { number, digest } = applied.value.version;
      if (applied.value.isNew) this.#logger.info({ file, number, digest }, 'policy in force');
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
