import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { startGateway, waitFor } from '../conformance/gateway.ts';
import { filesOf, leaksIn } from '../leaks.ts';
import type { RawRequest } from './agent.ts';
import { modern, send } from './agent.ts';

/** A secret in every place where an agent can put one, and a search of everything that is left behind. */
const places: string[] = [];
function canary(place: string): string {
  places.push(place);
  return `canary-${place}-7f3a9c`;
}

const policy = `{"tagOwners": {"tag:ops": [], "tag:gateway": []}, "grants": [
  {"src": ["tag:ops"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/admin": [{"tools": ["*"]}]}}]}`;

/** A request of the newer era that says who it is in words of its own. */
function request(who: string, method: string, params: Record<string, unknown>): RawRequest {
  const made = modern(method, params, { who });
  const body = structuredClone(made.body) as { id: unknown; params: { _meta: object } };
  Object.assign(body, { id: canary('id') });
  Object.assign(body.params['_meta'], {
    'io.modelcontextprotocol/clientInfo': { name: canary('name'), version: canary('version') },
    'example.com/note': canary('meta'),
  });
  const headers = {
    ...made.headers,
    'user-agent': canary('user-agent'),
    'x-anything': canary('header'),
  };
  return { ...made, headers, body };
}

const handshake = (who: string): RawRequest => ({
  headers: {
    accept: 'application/json, text/event-stream',
    'content-type': 'application/json',
    authorization: `Bearer ${who}`,
  },
  body: {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: canary('old-name'), version: canary('old-version') },
    },
  },
});

test('a secret of an agent is in no log, record, metric or file', async () => {
  const gateway = await startGateway({
    policy,
    config: { identities: { map: [{ key: '*', as: ['tag:ops'] }] } },
  });
  try {
    const key = await gateway.key('ci', { admin: true });
    const port = Number(gateway.address('admin').split(':').at(-1));
    const uri = `postern://${canary('uri')}`;
    const requests = [
      handshake(key),
      request(key, 'tools/call', { name: 'list_devices', arguments: {} }),
      ...[canary('tool'), 'list_devices', 'device_details', 'update_acl_policy'].map((name) =>
        request(key, 'tools/call', {
          name,
          arguments: { [canary('member')]: 1, device: canary('device'), plan_id: canary('plan') },
        }),
      ),
      request(key, 'resources/read', { uri }),
      request(key, 'prompts/get', { name: canary('prompt'), arguments: { a: canary('words') } }),
      request(key, canary('method'), {}),
      request(canary('token'), 'tools/list', {}),
      { ...handshake(key), body: `{"jsonrpc": "${canary('broken')}` },
    ];
    const statuses: number[] = [];
    for (const each of requests) statuses.push((await send(port, each)).status);
    expect(statuses.slice(0, 3)).toEqual([200, 200, 200]);
    const metrics = await send(port, {
      method: 'GET',
      path: '/metrics',
      headers: { authorization: `Bearer ${key}` },
    });
    expect(metrics.text).toContain('postern_audit_available 1');
    const log = path.join(gateway.stateDir, 'audit', '00000000000000000001.log');
    // Six calls of tools and one of a resource.
    await waitFor(() =>
      readFileSync(log, 'utf8').split('"kind":"tool"').length > 6 ? true : undefined,
    );
    const seen: [string, Buffer][] = [
      ['log', Buffer.from(JSON.stringify(gateway.log))],
      ['metrics', Buffer.from(metrics.text)],
      ...(await filesOf([gateway.stateDir])),
    ];
    expect(places.length).toBeGreaterThan(20);
    expect(leaksIn(seen)).toEqual([]);
    // What is known is still said.
    const record = seen.find(([name]) => name === '00000000000000000001.log')?.[1].toString();
    expect(record).toContain('"tool":"list_devices"');
    expect(record).toContain('"tool":"sha256:');
  } finally {
    await gateway.stop();
  }
});
