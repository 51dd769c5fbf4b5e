import type { Soon } from '@postern/core/base';
import { assert } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { IdentityMap } from '@postern/core/identity';
import { createIdentityMap } from '@postern/core/identity';
import type { Inventory, parsePolicyText } from '@postern/core/policy';
import type { Protection } from '@postern/core/policy/change';
import type { PolicyVersion, State } from '@postern/core/state';
import { currentPolicy } from '@postern/core/state';
import { denyEveryone } from '../adapters/access-none/index.ts';
import type { createAccessPolicy } from '../adapters/access-policy/index.ts';
import { principalOfKey } from '../adapters/identity-keys/index.ts';
import type { Control } from '../control/index.ts';
import type {
  BuiltInPolicy,
  PolicyPorts,
  PolicyTools,
  TrialClock,
} from '../control/policy/index.ts';
import { revisionOf, watchTrial } from '../control/policy/index.ts';
import type { AccessPolicy } from '../gateway/index.ts';
import type { Logger } from '../observe/index.ts';
import { builtInPolicy, builtInRevision } from './builtin-policy.ts';
import { byProcess, CandidateDesk, readCandidate } from './policy-candidate.ts';
import { namesOf } from './policy-names.ts';
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
  /** People and machines, where an engine runs here. */
  readonly inventory?: () => Inventory | undefined;
  /** The policy at an engine that others run. */
  readonly engine?: PolicyPorts['engine'];
}

/** The policy of this process: what decides requests by it, and how it changes. */
export interface PolicyPlane {
  readonly tools: PolicyTools;
  /** Why a trial that is over could not be taken back. */
  alarm(): string | undefined;
  /** Called for every request, after `ready`: the same value until policy or network change. */
  access(): AccessPolicy;
  /** Before a request is decided: loads what the built-in policy needs. */
  ready(): Soon<void>;
  /**
   * Before anything is served: ends a trial that is over, loads the policy, applies the file where it is the first one
   * ever or where that is wanted.
   */
  begin(): Promise<void>;
  /** Looks at the file again. */
  look(): Promise<void>;
  /** This process begins to lead: takes back trials that are over, and looks at the file. */
  lead(): Promise<void>;
  close(): void;
}

/** Without an engine nobody and nothing is on a network: the selectors of principals decide. */
const emptyInventory: Inventory = Object.freeze({ users: [], nodes: [] });

export function createPolicyPlane(options: PolicyPlaneOptions): PolicyPlane {
  const { control, settings, logger } = options;
  const ending = new AbortController();
  const file = policyFileOf(settings);
  const builtIn =
    settings.configFile === undefined
      ? { text: builtInPolicy, revision: builtInRevision }
      : undefined;
  const { inventory } = options;
  const decisions = new PolicyDecider({ control, logger, builtIn, inventory });
  let identities: { config: Config; map: IdentityMap } | undefined;
  const identityMap = (): IdentityMap => {
    const config = options.config();
    if (identities?.config !== config) {
      identities = { config, map: createIdentityMap(config.identities.map) };
    }
    return identities.map;
  };
  const ports: PolicyPorts = {
    inventory: () => options.inventory?.() ?? emptyInventory,
    names: () => namesOf(options.config()),
    principalOfKey: (key) => principalOfKey(key, identityMap()),
    prepare: () => decisions.load(),
    builtIn: () => builtIn,
    protection: () => protectionOf(options.config()),
    candidate: () => readCandidate(file, options.config().policy.autoApply),
    approved: () => void desk.look(),
    ...(options.engine === undefined ? {} : { engine: options.engine }),
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
    ready: () => decisions.ready(),
    begin: async () => {
      await trial.settle();
      // A policy may also come into force elsewhere, where the state is shared.
      const isShared = control.role().kind !== 'alone';
      if (isShared || currentPolicy(control.snapshot().policy) !== undefined)
        await decisions.load();
      control.subscribe((snapshot) => decisions.current(snapshot), ending.signal);
      await (builtIn === undefined ? desk.lookFirst() : desk.look());
    },
    look: async () => {
      await desk.look();
      await tellUnboundNames(tools, logger).catch((fault: unknown) =>
        logger.error({ err: fault }, 'fault'),
      );
    },
    lead: async () => {
      await trial.settle();
      await (builtIn === undefined ? desk.lookFirst() : desk.look());
    },
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

function protectionOf({ policy }: Config): Protection {
  const { paths, capabilities, logins, crownJewels } = policy.protect;
  return {
    paths: paths.map(({ keepAtLeast, ...path }) => ({ ...path, ...kept(keepAtLeast) })),
    capabilities: capabilities.map(({ keepAtLeast, ...each }) => ({
      ...each,
      ...kept(keepAtLeast),
    })),
    logins,
    crownJewels,
  };
}

function kept(keepAtLeast: number | undefined): { readonly keepAtLeast?: number } {
  return keepAtLeast === undefined ? {} : { keepAtLeast };
}

interface DeciderOptions {
  readonly control: Control;
  readonly logger: Logger;
  readonly builtIn: BuiltInPolicy | undefined;
  readonly inventory: PolicyPlaneOptions['inventory'];
}

/** The network as decisions were last made by it. */
interface KnownNetwork {
  readonly network: State['network'];
  readonly inventory: Inventory;
  readonly atMs: number;
}

/** Joins come in bursts: decisions follow them this long after. */
const networkSettleMs = 200;
/** What machines report of themselves (postures) changes without a record in the journal. */
const reportsCountMs = 10_000;

/** Compiles a policy when it comes into force, before its commit is acknowledged. */
class PolicyDecider {
  readonly #control: Control;
  readonly #logger: Logger;
  /** What decides while nobody has applied a policy. */
  readonly #beforeAny: AccessPolicy;
  readonly #builtIn: BuiltInPolicy | undefined;
  readonly #inventory: PolicyPlaneOptions['inventory'];
  #network: KnownNetwork | undefined;
  #decider: Decider | undefined;
  #compiled:
    | {
        readonly version: PolicyVersion;
        readonly network: KnownNetwork | undefined;
        readonly access: AccessPolicy;
      }
    | undefined;
  #ofBuiltIn: AccessPolicy | undefined;

  constructor({ control, logger, builtIn, inventory }: DeciderOptions) {
    this.#inventory = inventory;
    this.#control = control;
    this.#logger = logger;
    this.#builtIn = builtIn;
    this.#beforeAny =
      builtIn === undefined ? denyEveryone : asked(() => this.#compileBuiltIn(builtIn));
  }

  /** The engine is loaded with the first policy or request: an idle start never pays for it. */
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

  ready(): Soon<void> {
    return this.#builtIn === undefined ? undefined : this.load();
  }

  current(state: State): AccessPolicy {
    const version = currentPolicy(state.policy);
    if (version === undefined) return this.#beforeAny;
    const network = this.#networkOf(state);
    const compiled = this.#compiled;
    if (compiled?.version.digest === version.digest && compiled.network === network)
      return compiled.access;
    // Views are made before anything is served; what they are asked comes later.
    if (this.#decider === undefined) return asked(() => this.current(state));
    const access = this.#compile(version, network?.inventory);
    this.#compiled = { version, network, access };
    return access;
  }

  /** The same value until the network has changed. */
  #networkOf({ network }: State): KnownNetwork | undefined {
    const atMs = performance.now();
    const known = this.#network;
    const ageMs = known === undefined ? Number.POSITIVE_INFINITY : atMs - known.atMs;
    if (ageMs < (known?.network === network ? reportsCountMs : networkSettleMs)) return known;
    const inventory = this.#inventory?.();
    this.#network = inventory === undefined ? undefined : { network, inventory, atMs };
    return this.#network;
  }

  /** Compiled with the first question. */
  #compileBuiltIn({ text, revision }: BuiltInPolicy): AccessPolicy {
    const decider = this.#decider;
    assert(decider !== undefined, 'the engine is loaded before a request is decided');
    if (this.#ofBuiltIn !== undefined) return this.#ofBuiltIn;
    const { file } = decider.parsePolicyText(text);
    this.#ofBuiltIn = decider.createAccessPolicy({ file, revision, name: 'built-in policy' });
    return this.#ofBuiltIn;
  }

  #compile({ digest, text }: PolicyVersion, inventory: Inventory | undefined): AccessPolicy {
    const decider = this.#decider;
    assert(decider !== undefined, 'the engine is loaded before a policy comes into force');
    const parsed = decider.parsePolicyText(text);
    if (parsed.accepted) {
      return decider.createAccessPolicy({
        file: parsed.file,
        revision: revisionOf(digest),
        ...(inventory === undefined ? {} : { inventory }),
      });
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

/** A policy that is found when it is asked. */
function asked(access: () => AccessPolicy): AccessPolicy {
  return {
    decide: (query) => access().decide(query),
    mayUse: (...query) => access().mayUse(...query),
    selectorsOf: (caller) => access().selectorsOf(caller),
    mayAdminister: (...query) => access().mayAdminister(...query),
  };
}

/** A configuration that drops a limit or a budget which the policy in force names: what it bounded is refused. */
async function tellUnboundNames({ control, ports }: PolicyTools, logger: Logger): Promise<void> {
  const version = currentPolicy(control.snapshot().policy);
  if (version === undefined) return;
  const [{ parsePolicyText }, { undefinedNames }] = await Promise.all([
    import('@postern/core/policy'),
    import('@postern/core/policy/report'),
  ]);
  for (const { kind, name, at } of undefinedNames(
    parsePolicyText(version.text).file,
    ports.names(),
  )) {
    const problem = `the policy in force names the ${kind} "${name}" (line ${at.line}), which the configuration does not define`;
    logger.error({ problem }, 'policy');
  }
}
