import { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { AnyOperation, OperationContext } from './operation.ts';
import { operation } from './operation.ts';
import type { IncidentDesk } from './incident-desk.ts';
import { word, evidenceSchema, concludedSchema, runSchema } from './incident-desk.ts';

function desk<T>(
  { incident }: OperationContext,
  ask: (desk: IncidentDesk) => Promise<Result<T, Refusal>>,
): Promise<Result<T, Refusal>> {
  return incident === undefined
    ? Promise.resolve(refuse('not_found', 'There are no incidents here.'))
    : ask(incident);
}

export const incidentOperations: readonly AnyOperation[] = [
  operation({
    name: 'incident.run',
    summary:
      'Carry out one step of the incident plan and show by looking again that it had its effect.',
    changes: false,
    method: 'post',
    path: '/incidents',
    status: 201,
    body: runSchema,
    output: concludedSchema,
    run: (context, { body }, by) =>
      desk(context, (incident) => {
        const {
          dry_run: isDryRun,
          for_ms: forMs,
          own_address: ownAddress,
          since,
          token,
          ...rest
        } = body;
        const { resume, target, classes, issuer, address, replicas, ...plain } = rest;
        return incident.run(
          {
            ...plain,
            isDryRun,
            isDrill: false,
            ...(resume === undefined ? {} : { resume }),
            ...(target === undefined ? {} : { target }),
            ...(classes === undefined ? {} : { classes }),
            ...(issuer === undefined ? {} : { issuer }),
            ...(address === undefined ? {} : { address }),
            ...(replicas === undefined ? {} : { replicas }),
            ...(forMs === undefined ? {} : { forMs }),
            ...(ownAddress === undefined ? {} : { ownAddress }),
            ...(since === undefined ? {} : { sinceMs: Date.parse(since) }),
            ...(token === undefined ? {} : { token: new Secret(token) }),
          },
          by,
        );
      }),
  }),
  operation({
    name: 'incident.record',
    summary:
      'Sign and keep the evidence of what was done beside this process: a drill, a restoration.',
    changes: false,
    method: 'post',
    path: '/incidents/records',
    status: 201,
    body: evidenceSchema,
    output: concludedSchema,
    run: (context, { body }, by) => desk(context, (incident) => incident.record(body, by)),
  }),
  operation({
    name: 'incident.list',
    summary: 'List incidents whose evidence is kept, the oldest first.',
    changes: false,
    method: 'get',
    path: '/incidents',
    status: 200,
    output: z.strictObject({ items: z.array(z.string()).readonly() }).openapi('IncidentList'),
    run: (context) => desk(context, async (incident) => ok({ items: await incident.list() })),
  }),
  operation({
    name: 'incident.show',
    summary: 'Show the signed evidence of an incident.',
    changes: false,
    method: 'get',
    path: '/incidents/{id}',
    status: 200,
    params: z.strictObject({ id: word }),
    output: z
      .strictObject({ id: z.string(), note: z.string(), file: z.string() })
      .openapi('IncidentEvidence'),
    run: (context, { params }) => desk(context, (incident) => incident.show(params.id)),
  }),
];
