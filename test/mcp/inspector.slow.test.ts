/** The inspector of the protocol's authors, from its command line: both eras over HTTP, and pipes. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { startGateway } from '../conformance/gateway.ts';
import { judge } from './programs.ts';
import { tools } from '../../packages/server/src/mcp/index.ts';

const inspector = await judge('inspector');
const title = inspector.found ? 'the inspector' : `skipped: ${inspector.why}`;
const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
const policy = `{"tagOwners": {"tag:ops": [], "tag:gateway": []}, "grants": [
  {"src": ["tag:ops"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/admin": [{"tools": ["*"]}]}}]}`;

describe.skipIf(!inspector.found)(title, () => {
  let gateway: TestGateway;
  let folder = '';
  beforeAll(async () => {
    gateway = await startGateway({
      config: { identities: { map: [{ key: 'ops', as: ['tag:ops'] }] } },
      policy,
    });
    const key = await gateway.key('ops', { admin: true });
    folder = await mkdtemp(path.join(tmpdir(), 'postern-inspector-'));
    const url = `http://${gateway.address('admin')}/mcp`;
    const http = { type: 'streamable-http', url, headers: { authorization: `Bearer ${key}` } };
    const command = {
      type: 'stdio',
      command: process.execPath,
      args: [main, 'mcp', '--state', gateway.stateDir],
    };
    await writeFile(
      path.join(folder, 'servers.json'),
      JSON.stringify({
        mcpServers: {
          modern: { ...http, protocolEra: 'modern' },
          legacy: { ...http, protocolEra: 'legacy' },
          nobody: { ...http, headers: {}, protocolEra: 'modern' },
          pipe: { ...command, protocolEra: 'modern' },
          pipeLegacy: { ...command, protocolEra: 'legacy' },
        },
      }),
    );
  }, 60_000);
  afterAll(async () => {
    await gateway.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function inspect(server: string, ...words: string[]): Promise<{ code: number; out: string }> {
    if (!inspector.found) throw new Error(inspector.why);
    const file = path.join(folder, 'servers.json');
    const args = ['--cli', '--config', file, '--server', server, '--format', 'json', ...words];
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [inspector.bin, ...args],
        { timeout: 60_000, env: { ...process.env, MCP_INSPECTOR_SECRET_STORE: 'memory' } },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code), out: stdout || stderr }),
      );
    });
  }

  test.each(['modern', 'legacy', 'pipe', 'pipeLegacy'])(
    'lists and calls tools, reads resources and gets prompts (%s)',
    async (server) => {
      const listed = await inspect(server, '--method', 'tools/list');
      expect(listed.code, listed.out).toBe(0);
      for (const { name } of tools) expect(listed.out).toContain(`"${name}"`);
      const call = ['--method', 'tools/call', '--tool-name'];
      const called = await inspect(server, ...call, 'list_models', '--tool-args-json', '{}');
      expect(called).toMatchObject({ code: 0, out: expect.stringContaining('builtin/eliza') });
      const wrong = await inspect(
        server,
        ...call,
        'get_device_details',
        '--tool-args-json',
        '{"device":"x"}',
      );
      expect(wrong).toMatchObject({ code: 5 });
      const read = await inspect(server, '--method', 'resources/read', '--uri', 'policy://current');
      expect(read).toMatchObject({ code: 0, out: expect.stringContaining('tagOwners') });
      const prompts = await inspect(server, '--method', 'prompts/list');
      expect(prompts).toMatchObject({ code: 0, out: expect.stringContaining('diagnose_access') });
    },
    240_000,
  );

  test('nobody gets nothing', async () => {
    const { code, out } = await inspect('nobody', '--method', 'tools/list');
    expect(code).not.toBe(0);
    expect(out).not.toContain('list_devices');
  }, 60_000);
});
