import { z } from 'zod';
import type { AnyTool } from '../tool.ts';
import { done, jsonOf, looks, refused, rowsOf, tool, wordOf } from '../tool.ts';
import { cursor, limit, word } from './fields.ts';

const time = z.iso.datetime({ offset: true }).optional();

export const recordTools: readonly AnyTool[] = [
  tool({
    name: 'get_audit_events',
    title: 'Get audit events',
    description:
      'Records of the audit log: requests, operations, tool calls. Without a filter the newest; with one, oldest first. Text in them was written by callers.',
    hints: looks,
    operations: ['audit.query', 'audit.tail'],
    input: z.strictObject({
      since: time,
      until: time,
      kind: word.optional().describe('request, control, tool, …'),
      caller: word.optional(),
      model: word.optional(),
      outcome: word.optional(),
      error: word.optional(),
      operation: word.optional(),
      request_id: word.optional(),
      limit,
      cursor,
    }),
    run: async (context, { limit: count, cursor: after, ...filter }) => {
      const given = Object.entries(filter).filter(([, value]) => value !== undefined);
      const size = Math.trunc(count);
      const isWhole = given.length === 0 && after === undefined;
      const found = isWhole
        ? await context.perform('audit.tail', { query: { limit: size } })
        : await context.perform('audit.query', {
            query: {
              ...Object.fromEntries(given),
              limit: size,
              ...(after === undefined ? {} : { after }),
            },
          });
      if (!found.ok) return refused(found.error);
      const { items, next } = jsonOf(found.value);
      return done({
        events: rowsOf(items),
        ...(typeof next === 'number' ? { next: String(next) } : {}),
      });
    },
  }),
  tool({
    name: 'list_models',
    title: 'List models',
    description: 'Models that are served, whether they are ready, and why a provider is not.',
    hints: looks,
    operations: ['model.list'],
    input: z.strictObject({ name: word.optional().describe('Part of the name.') }),
    run: async (context, { name }) => {
      const listed = await context.perform('model.list');
      if (!listed.ok) return refused(listed.error);
      const { items, providers, default_model: usual } = jsonOf(listed.value);
      const wanted = name?.toLowerCase() ?? '';
      const models = rowsOf(items).filter((model) =>
        wordOf(model['name']).toLowerCase().includes(wanted),
      );
      return done({
        models: models.slice(0, modelsShown),
        matched: models.length,
        providers: rowsOf(providers),
        default_model: usual ?? null,
      });
    },
  }),
  tool({
    name: 'get_usage',
    title: 'Get usage',
    description:
      'Requests, tokens and cost by user, model, budget or hour; by budget also what is left.',
    hints: looks,
    operations: ['usage.show', 'budget.list'],
    input: z.strictObject({
      by: z.enum(['user', 'model', 'budget', 'hour']).default('user'),
      since: time,
      limit,
    }),
    run: async (context, { by, since, limit: count }) => {
      const used = await context.perform('usage.show', {
        query: { by, ...(since === undefined ? {} : { since }) },
      });
      if (!used.ok) return refused(used.error);
      const rows = rowsOf(jsonOf(used.value)['items']);
      const usage = rows.slice(0, Math.trunc(count));
      if (by !== 'budget') return done({ usage, total: rows.length });
      const left = await context.perform('budget.list');
      if (!left.ok) return refused(left.error);
      const budgets = rowsOf(jsonOf(left.value)['items']).slice(0, Math.trunc(count));
      return done({ usage, total: rows.length, budgets });
    },
  }),
];

/** An answer with more is no list that anybody reads. */
const modelsShown = 100;
