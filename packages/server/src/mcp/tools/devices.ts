import type { JsonObject, Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { z } from 'zod';
import type { AnyTool, ToolContext } from '../tool.ts';
import { done, jsonOf, looks, refused, rowsOf, tool, wordOf } from '../tool.ts';
import { cursor, limit, pageOf, word } from './fields.ts';

const briefFields = ['id', 'name', 'user', 'tags', 'addresses', 'online', 'last_seen'] as const;
/** Keys of machines say nothing to a model, and fill an answer. */
const passedOver: ReadonlySet<string> = new Set(['node_key', 'machine_key']);
const pageSize = 1_000;
/** More machines than an engine of ours serves. */
const pagesMax = 20;

export const deviceTools: readonly AnyTool[] = [
  tool({
    name: 'list_devices',
    title: 'List devices',
    description:
      'Machines of the private network, concise. Narrow with tag, user, online or name before paging.',
    hints: looks,
    operations: ['node.list'],
    input: z.strictObject({
      tag: word.optional(),
      user: word.optional(),
      online: z.boolean().optional(),
      name: word.optional().describe('Part of the name or host name.'),
      limit,
      cursor,
    }),
    run: async (context, { limit: count, cursor: after, ...filter }) => {
      const all = await allDevices(context);
      if (!all.ok) return refused(all.error);
      const matched = all.value.filter((device) => fits(device, filter));
      const { rows, next } = pageOf(matched, after, count);
      return done({
        devices: rows.map(brief),
        matched: matched.length,
        total: all.value.length,
        ...(next === undefined ? {} : { next }),
      });
    },
  }),
  tool({
    name: 'get_device_details',
    title: 'Device details',
    description: 'One machine: routes, tags, key expiry, client, and with access what it reaches.',
    hints: looks,
    operations: ['node.show'],
    input: z.strictObject({
      device: word.describe('Id, name or address.'),
      access: z.boolean().default(false).describe('Also what it reaches and who reaches it.'),
    }),
    run: async (context, { device: wanted, access }) => {
      const shown = await context.perform('node.show', { params: { node: wanted } });
      if (!shown.ok) return refused(shown.error);
      const device = withoutKeys(jsonOf(shown.value));
      if (!access || !context.may('policy.reach')) return done({ device });
      const [address] = Array.isArray(device['addresses']) ? device['addresses'] : [];
      const [reaches, reachedBy] = await Promise.all([
        reachOf(context, { from: String(address) }),
        reachOf(context, { to: String(address) }),
      ]);
      return done({ device, reaches, reached_by: reachedBy });
    },
  }),
];

async function allDevices(context: ToolContext): Promise<Result<readonly JsonObject[], Refusal>> {
  const devices: JsonObject[] = [];
  let after: string | undefined;
  for (let page = 0; page < pagesMax; page += 1) {
    // oxlint-disable-next-line no-await-in-loop -- the next page begins where this one ends
    const listed = await context.perform('node.list', {
      query: { limit: pageSize, ...(after === undefined ? {} : { after }) },
    });
    if (!listed.ok) return listed;
    const { items, next } = jsonOf(listed.value);
    devices.push(...rowsOf(items));
    if (typeof next !== 'string') break;
    after = next;
  }
  return ok(devices);
}

interface Filter {
  readonly tag?: string | undefined;
  readonly user?: string | undefined;
  readonly online?: boolean | undefined;
  readonly name?: string | undefined;
}

function fits(device: JsonObject, { tag, user, online, name }: Filter): boolean {
  const { tags, user: owner, online: isOnline, name: own, hostname } = device;
  const names = `${wordOf(own)} ${wordOf(hostname)}`.toLowerCase();
  return (
    (tag === undefined || (Array.isArray(tags) && tags.includes(tag))) &&
    (user === undefined || owner === user) &&
    (online === undefined || isOnline === online) &&
    (name === undefined || names.includes(name.toLowerCase()))
  );
}

function brief(device: JsonObject): JsonObject {
  return Object.fromEntries(
    briefFields.flatMap((field) => {
      const value = device[field];
      return value === undefined ? [] : [[field, value]];
    }),
  );
}

function withoutKeys(device: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(device).filter(([name]) => !passedOver.has(name)));
}

const reachShown = 10;

/** A few rows of reach; empty where the question cannot be answered, which is no fault of the device. */
async function reachOf(
  context: ToolContext,
  question: { readonly from: string } | { readonly to: string },
): Promise<readonly JsonObject[]> {
  const reached = await context.perform('policy.reach', { body: question });
  return reached.ok ? rowsOf(jsonOf(reached.value)['rows']).slice(0, reachShown) : [];
}
