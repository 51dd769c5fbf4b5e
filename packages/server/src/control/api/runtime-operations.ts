import { z } from '@hono/zod-openapi';
import { err, ok } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import { runtimeSchema, modelsSchema } from './runtime-desk.ts';

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
