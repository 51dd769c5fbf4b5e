import { z } from '@hono/zod-openapi';
import { err, ok } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';

const runtimeSchema = z
  .strictObject({
    version: z.string(),
    started_at: z.string(),
    node: z.string(),
    config_file: z.string().nullable(),
    state_dir: z.string(),
    ready: z.boolean(),
    name: z.string().nullable(),
    role: z.enum(['alone', 'leader', 'follower']),
    leader: z.string().nullable(),
    default_model: z.string(),
    listeners: z.array(
      z.strictObject({ kind: z.string(), address: z.string(), connections: z.int() }),
    ),
    providers: z.array(
      z.strictObject({
        id: z.string(),
        place: z.string(),
        models: z.int(),
        problem: z.string().nullable(),
        found_by: z.string().nullable(),
        places: z.array(
          z.strictObject({
            endpoint: z.string().nullable(),
            state: z.enum(['ready', 'probation', 'loading', 'asleep', 'open', 'unhealthy']),
            in_flight: z.int(),
            queued: z.int(),
            breakers: z.array(
              z.strictObject({ model: z.string(), state: z.enum(['open', 'probation']) }),
            ),
          }),
        ),
      }),
    ),
    routing: z.record(z.string(), z.int()),
  })
  .openapi('Runtime');

/** What the running process is: its listeners, providers and models. */
export type RuntimeView = z.input<typeof runtimeSchema>;

const modelsSchema = z
  .strictObject({
    items: z.array(
      z.strictObject({
        name: z.string().describe('An alias, or `provider/model`: what grants and callers name.'),
        state: z.enum(['ready', 'probation', 'loading', 'asleep', 'open', 'unhealthy']),
        targets: z.array(z.string()).describe('What answers, in order.'),
      }),
    ),
    providers: z.array(
      z.strictObject({ id: z.string(), models: z.int(), problem: z.string().nullable() }),
    ),
    default_model: z.string(),
  })
  .openapi('ServedModels');

/** The models that are served, whoever may call them. */
export type ModelsView = z.input<typeof modelsSchema>;

export const runtimeOperations: readonly AnyOperation[] = [
  operation({
    name: 'model.list',
    summary: 'List the models that are served, and how they are.',
    changes: false,
    method: 'get',
    path: '/models',
    status: 200,
    output: modelsSchema,
    run: ({ models }) =>
      Promise.resolve(
        models === undefined
          ? err(refusal('not_found', 'No models are served here.'))
          : ok(models()),
      ),
  }),
  operation({
    name: 'runtime.show',
    summary: 'Show the running process: version, listeners, providers.',
    changes: false,
    method: 'get',
    path: '/runtime',
    status: 200,
    output: runtimeSchema,
    run: ({ runtime }) => Promise.resolve(ok(runtime())),
  }),
  operation({
    name: 'config.reload',
    summary: 'Read the configuration file again; an invalid file changes nothing.',
    // The file is applied by the process itself; who asked for it is in the line of this operation.
    changes: false,
    method: 'post',
    path: '/config/reload',
    status: 200,
    output: z.strictObject({ message: z.string() }).openapi('ConfigReload'),
    run: async ({ reload }) => {
      const reloaded = await reload();
      if (reloaded.ok) return ok({ message: reloaded.value });
      return err(
        refusal(
          'invalid_request',
          `The file was refused and nothing changed: ${reloaded.error.join('; ')}`,
        ),
      );
    },
  }),
];
