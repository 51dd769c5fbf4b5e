import { z } from '@hono/zod-openapi';
import { ok } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import type { AnyOperation } from './operation.ts';
import { operation } from './operation.ts';
import {
  configCheckSchema,
  configTextSchema,
  findingsSchema,
  generationSchema,
} from './schemas.ts';
import { generationView } from './views.ts';

export const configOperations: readonly AnyOperation[] = [
  operation({
    name: 'config.list',
    summary: 'List the configurations that were applied, the newest (in force) first.',
    changes: false,
    method: 'get',
    path: '/config/generations',
    status: 200,
    output: z.strictObject({ items: z.array(generationSchema) }).openapi('ConfigGenerations'),
    run: ({ control }) =>
      Promise.resolve(ok({ items: control.snapshot().generations.map(generationView) })),
  }),
  operation({
    name: 'config.show',
    summary: 'Show the text of a configuration: `current`, or a generation by number.',
    changes: false,
    method: 'get',
    path: '/config/generations/{generation}',
    status: 200,
    params: z.strictObject({ generation: z.string().regex(/^(?:current|[1-9][0-9]{0,14})$/) }),
    output: configTextSchema,
    run: ({ control }, { params }) => {
      const { generations } = control.snapshot();
      const wanted = params.generation;
      const found =
        wanted === 'current'
          ? generations[0]
          : generations.find(({ number }) => number === Number(wanted));
      if (found !== undefined) {
        return Promise.resolve(ok({ generation: generationView(found), text: found.text }));
      }
      const message =
        wanted === 'current'
          ? 'No configuration was applied here yet.'
          : `Generation ${wanted} is not kept; the last ${generations.length} are.`;
      return Promise.resolve(refuse('not_found', message, { param: 'generation' }));
    },
  }),
  operation({
    name: 'config.check',
    summary: 'Say what is wrong with a configuration, and change nothing.',
    changes: false,
    method: 'post',
    path: '/config/check',
    status: 200,
    body: configCheckSchema,
    output: findingsSchema,
    run: ({ checkConfig }, { body }) => {
      const findings = checkConfig(body.text).map((finding) => ({ ...finding }));
      return Promise.resolve(ok({ valid: findings.length === 0, findings }));
    },
  }),
];
