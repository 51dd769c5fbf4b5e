/**
 * An agent finds why a laptop cannot call a model, plans the fix, has it approved by a person, applies and confirms it.
 * The same steps over every engine; what was said is kept as a transcript without ids, times and digests.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Ended } from '../e2e/process.ts';
import type { Called } from './agent.ts';

export interface Step {
  readonly who: 'agent' | 'person' | 'laptop';
  readonly does: string;
  readonly with?: unknown;
  readonly gets: unknown;
}

export interface ScenarioPorts {
  /** A call of a tool by the agent. */
  readonly call: (name: string, args: Record<string, unknown>) => Promise<Called>;
  /** A person at a terminal: words of the command line, and what it prints. */
  readonly person: (...words: string[]) => Promise<string>;
  /** What a request of the laptop's owner to the model ends with. */
  readonly laptop: () => Promise<number>;
}

/** The policy of the scenario: alice reaches the gateway, and nobody put her into the group that may call models. */
/** `more` goes before the grants: what lets an agent in over the network. */
export const scenarioPolicy = (more = '', tags = ''): string => `{
  "groups": {"group:research": ["bob@example.com"]},
  "tagOwners": {"tag:gateway": ["bob@example.com"]${tags}},
  "grants": [${more}
    {"src": ["autogroup:member"], "dst": ["tag:gateway"], "ip": ["tcp:80"]},
    // Who calls models.
    {"src": ["group:research"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [{"models": ["builtin/*"]}]}},
  ],
}
`;

/** The same where the agent comes over the network: a tag lets it in. */
export const scenarioPolicyWithAgent: string = scenarioPolicy(
  `
    {"src": ["tag:agent"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/admin": [{"tools": ["*"]}]}},`,
  ', "tag:agent": ["bob@example.com"]',
);

/** A person at the command line, whose every command must succeed. */
export function personAt(run: (...words: string[]) => Promise<Ended>): ScenarioPorts['person'] {
  return async (...words) => {
    const { code, out, err } = await run(...words);
    expect({ code, err }).toMatchObject({ code: 0 });
    return out;
  };
}

export async function runScenario(ports: ScenarioPorts): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const agent = async (does: string, args: Record<string, unknown>) => {
    const { value, isError } = await ports.call(does, args);
    steps.push({ who: 'agent', does, with: args, gets: isError ? { refused: value } : value });
    return value;
  };
  const laptop = async (): Promise<void> => {
    steps.push({ who: 'laptop', does: 'POST /v1/chat/completions', gets: await ports.laptop() });
  };
  await laptop();
  await agent('list_devices', { user: 'alice@example.com' });
  await agent('list_models', {});
  await agent('explain_access', { from: 'alice-laptop', to: 'tag:gateway', port: 'tcp:80' });
  await agent('explain_access', { who: ['alice@example.com'], model: 'builtin/eliza' });
  const { etag } = await agent('get_acl_policy', { section: 'grants', format: 'hujson' });
  await agent('get_acl_policy', { section: 'groups', format: 'json' });
  const { plan_id: id } = await agent('plan_policy_change', {
    base_etag: etag,
    ops: [{ op: 'add', path: '/groups/group:research/-', value: 'alice@example.com' }],
  });
  await agent('run_policy_tests', { plan_id: id });
  await agent('explain_access', {
    plan_id: id,
    who: ['alice@example.com'],
    model: 'builtin/eliza',
  });
  await agent('update_acl_policy', { plan_id: id });
  await laptop();
  steps.push({
    who: 'person',
    does: 'postern approve',
    with: id,
    gets: await ports.person('approve', String(id)),
  });
  const { digest } = await agent('update_acl_policy', { plan_id: id });
  await laptop();
  await agent('confirm_policy_change', { digest });
  await untilRecorded(ports, 'confirm_policy_change');
  await agent('get_audit_events', { kind: 'tool', operation: undefined, limit: 50 });
  steps.push({
    who: 'person',
    does: 'postern audit verify',
    gets: await ports.person('audit', 'verify'),
  });
  return steps;
}

/** Records are shown once they are durable, which is a moment after the answer. */
async function untilRecorded(ports: ScenarioPorts, tool: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const said = await ports.person('audit', 'query', '--kind', 'tool', '--json');
    if (said.includes(`"${tool}"`)) return;
    await sleep(50);
  }
  throw new Error(`no record of ${tool}`);
}

/** What the owner of the laptop gets of the model. */
export async function askModel(url: string, key: string): Promise<number> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'builtin/eliza',
      messages: [{ role: 'user', content: 'Hello' }],
    }),
  });
  await answer.text();
  return answer.status;
}

/** The transcript is the one that was kept; POSTERN_UPDATE_GOLDEN=1 keeps a new one. */
export function expectRecorded(steps: readonly Step[], golden: string): void {
  const statuses = steps.filter(({ who }) => who === 'laptop').map(({ gets }) => gets);
  expect(statuses).toEqual([403, 403, 200]);
  const text = normalised(steps);
  if (process.env['POSTERN_UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
  expect(text).toBe(readFileSync(golden, 'utf8'));
}

const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(plan|key|pak)_[0-9a-z]{26}\b/g, '$1_ID'],
  [/\b[0-9a-f]{64}\b/g, 'DIGEST'],
  [/\b[0-9a-f]{12}\b/g, 'DIGEST'],
  [/\b[0-9a-hjkmnp-tv-z]{26}\b/g, 'ID'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, 'TIME'],
  [/\b100\.\d+\.\d+\.\d+\b/g, 'IP4'],
  [/\bfd7a:[0-9a-f:]+\b/g, 'IP6'],
  [/\b(?:local:uid:)\d+/g, 'local:uid:N'],
  [/postern\.dev\/audit\/[0-9a-f]{16}/g, 'ORIGIN'],
  [/\bn[0-9A-Za-z]+CNTRL\b/g, 'NODE'],
  [/in \d+ ms|\d+ records?/g, 'N'],
  [/\/[^ "]*\/postern-test-\w+/g, 'STATE'],
];

/** Members whose numbers differ from run to run. */
const counted = new Set(['index', 'duration_ms', 'args_sha256']);

/** The transcript as it is compared: order and words stay. */
function normalised(steps: readonly Step[]): string {
  const text = JSON.stringify(
    steps,
    (name, value: unknown) => (counted.has(name) && typeof value !== 'object' ? 'N' : value),
    1,
  );
  return `${patterns.reduce((all, [pattern, word]) => all.replaceAll(pattern, word), text)}\n`;
}
