import { z } from '@hono/zod-openapi';

export const runtimeSchema = z
  .strictObject({
    version: z.string(),
    started_at: z.string(),
    node: z.string(),
    config_file: z.string().nullable(),
    state_dir: z.string(),
    ready: z.boolean(),
    unready: z.array(z.string()).describe('Why `/readyz` says no; empty while it does not.'),
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

export const modelsSchema = z
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
