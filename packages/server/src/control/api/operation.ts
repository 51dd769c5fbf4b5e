import type { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { CheckConfig } from '../config.ts';
import type { Control, Requester } from '../control.ts';
import type { NetworkEngine, OutsideDesk } from '../engine/index.ts';
import type { NetworkDesk } from '../network/index.ts';
import type { PolicyTools } from '../policy/index.ts';
import type { AuditTools } from './audit-desk.ts';
import type { CheckDesk } from './check-desk.ts';
import type { IncidentDesk } from './incident-desk.ts';
import type { MeshDesk } from './mesh-desk.ts';
import type { MoneyTools } from './money-desk.ts';
import type { ModelsView, RuntimeView } from './runtime-desk.ts';

/** Every operation of the admin API, by the name that permissions, audit lines and tools use. */
export type OperationName =
  | 'key.list'
  | 'key.show'
  | 'key.create'
  | 'key.revoke'
  | 'key.rotate'
  | 'block.list'
  | 'block.create'
  | 'block.lift'
  | 'isolation.lift'
  | 'check.run'
  | 'incident.run'
  | 'incident.record'
  | 'incident.list'
  | 'incident.show'
  | 'revocation.list'
  | 'revocation.create'
  | 'revocation.lift'
  | 'config.show'
  | 'config.list'
  | 'config.check'
  | 'config.reload'
  | 'runtime.show'
  | 'model.list'
  | 'policy.show'
  | 'policy.check'
  | 'policy.plan'
  | 'policy.approve'
  | 'policy.apply'
  | 'policy.confirm'
  | 'policy.rollback'
  | 'policy.explain'
  | 'policy.reach'
  | 'policy.diff'
  | 'usage.show'
  | 'budget.list'
  | 'budget.refill'
  | 'audit.tail'
  | 'audit.query'
  | 'audit.verify'
  | 'audit.checkpoint'
  | 'node.list'
  | 'node.show'
  | 'node.approve'
  | 'node.expire'
  | 'node.delete'
  | 'node.rename'
  | 'node.tag'
  | 'node.routes'
  | 'preauthkey.list'
  | 'preauthkey.create'
  | 'preauthkey.revoke'
  | 'user.list'
  | 'user.role'
  | 'network.status'
  | 'network.adopt'
  | 'network.policy'
  | 'dns.show'
  | 'dns.set'
  | 'mesh.status'
  | 'mesh.peers'
  | 'mesh.keys'
  | 'mesh.forward'
  | 'status.show'
  | 'backup.create'
  | 'state.verify'
  | 'openapi.show';

/** What operations work on. */
export interface OperationContext {
  readonly control: Control;
  readonly checkConfig: CheckConfig;
  readonly policy: {
    readonly tools: PolicyTools;
    /** Why a trial that is over could not be taken back. */
    readonly alarm: () => string | undefined;
  };
  readonly money: MoneyTools;
  readonly audit?: AuditTools;
  readonly check?: CheckDesk;
  readonly incident?: IncidentDesk;
  /** The embedded engine, where it runs. */
  readonly network?: () => NetworkDesk | undefined;
  /** The engine of the network, where others run it: operations on machines, keys and names go there then. */
  readonly outside?: () => OutsideDesk | undefined;
  /** The attested mesh, where it runs. */
  readonly mesh?: () => MeshDesk | undefined;
  /** Where backups are made: callers choose no paths. */
  readonly backupsDir: string;
  /** What the running process is. */
  readonly runtime: () => RuntimeView;
  /** The models that it serves, where it serves any. */
  readonly models?: () => ModelsView;
  /** Reads the configuration file again; an invalid one changes nothing and says why. */
  readonly reload: () => Promise<Result<string, readonly string[]>>;
}

type Fields = z.ZodObject;

/** The three places of a request that an operation reads. A part that it does not name must be empty. */
export interface OperationInput<P extends Fields, Q extends Fields, B extends Fields> {
  readonly params: z.output<P>;
  readonly query: z.output<Q>;
  readonly body: z.output<B>;
}

/** One operation: its route, its schemas and what it does. The routes, the OpenAPI file and the tools come from these. */
export interface Operation<
  P extends Fields = Fields,
  Q extends Fields = Fields,
  B extends Fields = Fields,
  O extends z.ZodType = z.ZodType,
> {
  readonly name: OperationName;
  readonly summary: string;
  /** Whether it writes to the journal, which then records who asked. */
  readonly changes: boolean;
  readonly method: 'get' | 'post' | 'delete';
  /** After `/api/v1`, with `{parameters}`. */
  readonly path: string;
  /** Status of success. */
  readonly status: 200 | 201;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  readonly output: O;
  run(
    context: OperationContext,
    input: OperationInput<P, Q, B>,
    by: Requester,
  ): Promise<Result<z.input<O>, Refusal>>;
  /** The same where others run the engine; absent: it is about this process, whoever runs the engine. */
  readonly outside?: (
    engine: NetworkEngine,
    input: OperationInput<P, Q, B>,
    context: OperationContext,
  ) => Promise<Result<z.input<O>, Refusal>>;
}

/** An operation whose types are checked here and forgotten, since the table holds many. */
export interface AnyOperation extends Omit<Operation, 'run' | 'outside'> {
  run(
    context: OperationContext,
    input: { readonly params: unknown; readonly query: unknown; readonly body: unknown },
    by: Requester,
  ): Promise<Result<unknown, Refusal>>;
}

export function operation<
  P extends Fields,
  Q extends Fields,
  B extends Fields,
  O extends z.ZodType,
>(definition: Operation<P, Q, B, O>): AnyOperation {
  const { outside, ...rest } = definition;
  // The app parses each part with the schema beside `run` before it calls it, so the types fit again there.
  if (outside === undefined) return definition;
  return {
    ...rest,
    run(context: OperationContext, input: OperationInput<P, Q, B>, by: Requester) {
      const desk = context.outside?.();
      return desk === undefined
        ? definition.run(context, input, by)
        : outside(desk.as(by), input, context);
    },
  };
}
