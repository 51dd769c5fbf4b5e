import { appendFile, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { configJsonSchema } from '@postern/core/contract';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { dataFrames, sse, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import type { TestGateway } from '../conformance/gateway.ts';
import { everyKey, keysAsTags, startGateway } from '../conformance/gateway.ts';
import { cli, newFolder, spawnPostern, until, up } from './process.ts';

async function fileOf(text: string): Promise<string> {
  const file = path.join(await newFolder(), 'postern.hujson');
  await writeFile(file, text);
  return file;
}

const check = (file: string, ...more: string[]) =>
  cli(['config', 'check', '--config', file, ...more]);

describe('config check', () => {
  test('takes a valid file with comments and trailing commas', async () => {
    const file = await fileOf('{\n  // mine\n  "trustLoopback": true,\n}\n');
    expect(await check(file)).toEqual({ code: 0, out: `${file} is valid.\n`, err: '' });
    expect(await check(file, '--json')).toEqual({
      code: 0,
      out: `{"valid":true,"file":"${file}","problems":[]}\n`,
      err: '',
    });
  });

  test.each([
    ['{\n  "aliases": {"a": [}\n}', '2:21: '],
    ['{\n  "frob": 1\n}', '2:11: /frob: there is no such key'],
    ['{\n  "limits": {\n    "drainMs": -1\n  }\n}', '3:16: /limits/drainMs: '],
    ['{\n  "limits": {"drainMs": "5"}\n}', '2:25: /limits/drainMs: '],
    ['{"a": 1, "a": 2}', '1:10: '],
    [
      '{\n  "aliases": {"fast": ["nope/x"]}\n}',
      '2:24: /aliases/fast/0: there is no provider "nope"',
    ],
    [
      '{\n  "trustedProxies": ["10.0.0.0/8", "10.0.0.1/99"]\n}',
      '2:36: /trustedProxies/1: "10.0.0.1/99" is no',
    ],
    [
      '{\n  "listeners": {"gateway": {"address": "127.0.0.1:70000"}}\n}',
      '2:40: /listeners/gateway/address: ',
    ],
    [
      '{\n  "providers": {"p": {"kind": "openai", "baseUrl": "ftp://x"}}\n}',
      '2:52: /providers/p/baseUrl: ',
    ],
    [
      '{\n  "listeners": {"serve": {"group": "staff"}}\n}',
      '2:36: /listeners/serve/group: there is no such key',
    ],
  ])('says where the fault of %j is, and ends with 4', async (text, where) => {
    const file = await fileOf(text);
    const { code, out, err } = await check(file);
    expect(err).toContain(`${file}:${where}`);
    expect({ code, out }).toEqual({ code: 4, out: '' });
    const asJson = await check(file, '--json');
    expect(asJson).toMatchObject({ code: 4, err: '' });
    expect(JSON.parse(asJson.out)).toMatchObject({ valid: false });
  });

  test('refuses a missing file, bytes that are no text, and an address of a variable', async () => {
    const missing = path.join(await newFolder(), 'none.hujson');
    expect(await check(missing)).toMatchObject({
      code: 4,
      err: `${missing}: there is no such file\n`,
    });
    const file = await fileOf('');
    await writeFile(file, Buffer.from([0x7b, 0xff, 0x7d]));
    expect(await check(file)).toMatchObject({ code: 4, err: `${file}: the file is not UTF-8\n` });
    const env = { POSTERN_STATE: await newFolder(), PORT: 'abc' };
    expect(await cli(['config', 'check'], { env })).toMatchObject({
      code: 4,
      err: 'PORT: "abc" is no address; write PORT, :PORT, HOST:PORT or [V6]:PORT\n',
    });
  });

  test('--explain names who says each value', async () => {
    const file = await fileOf(
      '{\n  "limits": {\n    "drainMs": 5\n  },\n  "trustLoopback": true\n}',
    );
    const env = { POSTERN_STATE: await newFolder(), POSTERN_ADMIN_ADDR: '9001', PORT: '9000' };
    const said = await cli(['config', 'check', '--explain', '--json', '--config', file], { env });
    expect(said.code).toBe(0);
    // The rows are objects with these three members.
    const rows = JSON.parse(said.out) as { name: string; value: unknown; from: string }[];
    const row = (name: string) => rows.find((each) => each.name === name);
    expect(row('limits.drainMs')).toEqual({ name: 'limits.drainMs', value: 5, from: `${file}:3` });
    expect(row('trustLoopback')).toMatchObject({ value: true, from: `${file}:5` });
    expect(row('limits.bodyBytes')).toMatchObject({ value: 33_554_432, from: 'default' });
    expect(row('listeners.gateway.address')).toMatchObject({ value: '9000', from: 'PORT' });
    expect(row('listeners.admin.address')).toMatchObject({
      value: '9001',
      from: 'POSTERN_ADMIN_ADDR',
    });
    const people = await cli(['config', 'check', '--explain', '--config', file], { env });
    expect(people.out).toMatch(/^NAME +VALUE +FROM\n/);
  });

  test('an invalid file stops the start, with its places and exit code 4', async () => {
    const state = await newFolder();
    await writeFile(path.join(state, 'postern.hujson'), '{\n  "frob": 1\n}');
    const ended = await spawnPostern(['up'], { POSTERN_STATE: state }).ended;
    expect(ended.code).toBe(4);
    expect(ended.err).toContain(`${state}/postern.hujson:2:11: /frob: there is no such key here`);
  });
});

let upstream: ScriptedUpstream;
let gate: TestGateway | undefined;
beforeEach(async () => {
  upstream = await startScriptedUpstream();
});
afterEach(async () => {
  await gate?.stop();
  gate = undefined;
  await upstream.close();
});

const models = (...names: string[]) => ({
  providers: { m: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: names } },
  identities: keysAsTags(),
});

async function startedIn(stateDir: string, ...names: string[]) {
  const started = await startGateway({
    config: models(...names),
    policy: everyKey,
    stateDir,
  });
  gate = started;
  const key = await started.key('k');
  const names_ = async (): Promise<string> => {
    const answer = await fetch(`${started.url}/v1/models`, {
      headers: { authorization: `Bearer ${key}` },
    });
    return answer.text();
  };
  return { started, key, names: names_, file: path.join(stateDir, 'postern.hujson') };
}

const inForce = (line: Record<string, unknown>) => line['msg'] === 'configuration in force';
const refusedLine = (line: Record<string, unknown>) =>
  line['msg'] === 'configuration refused; the old one stays in force';

describe('a running gateway', () => {
  test('takes a file that is written in place, and one that is renamed over it', async () => {
    const { names, file } = await startedIn(await newFolder(), 'one');
    await writeFile(file, JSON.stringify(models('two')));
    await until(async () => (await names()).includes('m/two'));
    await writeFile(`${file}.new`, JSON.stringify(models('three')));
    await rename(`${file}.new`, file);
    await until(async () => (await names()).includes('m/three'));
    await writeFile(file, JSON.stringify(models('four')));
    await until(async () => (await names()).includes('m/four'));
    expect(await names()).not.toContain('m/three');
  });

  test('follows links that are swapped, as secret mounts do it, and the file behind a link', async () => {
    const state = await newFolder();
    const mount = await newFolder();
    for (const name of ['one', 'two', 'three']) {
      await mkdir(path.join(mount, `..${name}`));
      await writeFile(
        path.join(mount, `..${name}`, 'postern.hujson'),
        JSON.stringify(models(name)),
      );
    }
    await symlink('..one', path.join(mount, '..data'));
    await symlink(path.join('..data', 'postern.hujson'), path.join(mount, 'postern.hujson'));
    await symlink(path.join(mount, 'postern.hujson'), path.join(state, 'postern.hujson'));
    const started = await startGateway({ stateDir: state, policy: everyKey });
    gate = started;
    const key = await started.key('k');
    const names = async () =>
      (
        await fetch(`${started.url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
      ).text();
    expect(await names()).toContain('m/one');
    for (const name of ['two', 'three']) {
      await symlink(`..${name}`, path.join(mount, '..data.new'));
      await rename(path.join(mount, '..data.new'), path.join(mount, '..data'));
      await until(async () => (await names()).includes(`m/${name}`));
    }
    await writeFile(path.join(mount, '..three', 'postern.hujson'), JSON.stringify(models('four')));
    await until(async () => (await names()).includes('m/four'));
  });

  const topKeys = Object.keys(configJsonSchema()['properties'] ?? {}).toSorted();

  test('keeps the old configuration where the new one is invalid, and says so to the log and the caller', async () => {
    const { started, names, file, key } = await startedIn(await newFolder(), 'one');
    await writeFile(file, '{"frob": 1}');
    const line = await started.logged(refusedLine);
    expect(line).toMatchObject({
      level: 'error',
      file,
      problems: [
        `${file}:1:10: /frob: there is no such key here; what there is: ${topKeys.join(', ')}`,
      ],
    });
    const asked = await cli(['config', 'reload'], { stateDir: started.stateDir });
    expect(asked.code).toBe(4);
    expect(asked.err).toContain(`nothing changed: ${file}:1:10: /frob: there is no such key here`);
    expect(await names()).toContain('m/one');
    // What the schema cannot see is refused as well.
    const broken = {
      ...models('two'),
      providers: { m: { kind: 'openai', baseUrl: 'http://127.0.0.1:1', caFile: '/none' } },
    };
    await writeFile(file, JSON.stringify(broken));
    const again = await cli(['config', 'reload'], { stateDir: started.stateDir });
    expect(again).toMatchObject({ code: 4 });
    expect(again.err).toContain('caFile /none cannot be read');
    expect(key).toMatch(/^pst_/);
    expect(await names()).toContain('m/one');
  });

  test('keeps every configuration that was in force in its journal, by number', async () => {
    const { started, file } = await startedIn(await newFolder(), 'one');
    const reload = async (name: string) => {
      await writeFile(file, JSON.stringify(models(name)));
      return cli(['config', 'reload'], { stateDir: started.stateDir });
    };
    expect(await reload('two')).toEqual({
      code: 0,
      out: 'The configuration is in force.\n',
      err: '',
    });
    await reload('three');
    const list = await started.control('GET', '/api/v1/config/generations');
    expect(list.body['items']).toMatchObject([{ number: 3 }, { number: 2 }, { number: 1 }]);
    const first = await started.control('GET', '/api/v1/config/generations/1');
    expect(first.body['text']).toBe(JSON.stringify(models('one')));
    // The same text again is no new generation.
    await cli(['config', 'reload'], { stateDir: started.stateDir });
    const after = await started.control('GET', '/api/v1/config/generations');
    expect(after.body['items']).toHaveLength(3);
  });

  test('gives a running stream its old configuration and the next request the new one', async () => {
    const { started, key, file, names } = await startedIn(await newFolder(), 'one');
    const more = Promise.withResolvers<void>();
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames({ choices: [{ index: 0, delta: { content: 'x' } }] }),
        { wait: more.promise },
        dataFrames('[DONE]'),
      ],
    });
    const ask = (body: string | ReadableStream<Uint8Array>) =>
      fetch(`${started.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body,
        duplex: 'half',
      });
    const streaming = await ask(
      '{"model":"m/one","stream":true,"messages":[{"role":"user","content":"x"}]}',
    );
    // A request that is still being sent when the configuration changes has begun too.
    upstream.expect({
      pieces: [
        '{"choices":[{"message":{"role":"assistant","content":"y"},"finish_reason":"stop"}]}',
      ],
    });
    const slow = Promise.withResolvers<void>();
    const sending = ask(
      new ReadableStream({
        async start(controller) {
          controller.enqueue(Buffer.from('{"model":"m/one",'));
          await slow.promise;
          controller.enqueue(Buffer.from('"messages":[{"role":"user","content":"x"}]}'));
          controller.close();
        },
      }),
    );
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    await writeFile(file, JSON.stringify({ identities: models().identities }));
    await until(async () => !(await names()).includes('m/one'));
    slow.resolve();
    expect((await sending).status).toBe(200);
    more.resolve();
    expect(await streaming.text()).toContain('[DONE]');
    const next = await ask('{"model":"m/one","messages":[{"role":"user","content":"x"}]}');
    expect(next.status).toBe(404);
  });

  test('reloads 50 times under steady requests without a failed one', async () => {
    const { started, key, file } = await startedIn(await newFolder(), 'one');
    const ask = async (): Promise<number> => {
      const answer = await fetch(`${started.url}/ask`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body: '{"prompt":"Men are all alike.","model":"builtin/eliza"}',
      });
      await answer.arrayBuffer();
      return answer.status;
    };
    const statuses: number[] = [];
    const over = new AbortController();
    const callers = Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) statuses.push(await ask());
    });
    for (let i = 0; i < 50; i += 1) {
      await writeFile(`${file}.new`, JSON.stringify(models(`m${i}`)));
      await rename(`${file}.new`, file);
      const done = await started.control('POST', '/api/v1/config/reload');
      expect(done.status).toBe(200);
    }
    over.abort();
    await Promise.all(callers);
    expect(statuses.length).toBeGreaterThan(50);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(started.log.filter(inForce).length).toBeGreaterThanOrEqual(50);
  });

  test('reads its file again on SIGHUP, and says where it has none', async () => {
    const state = await newFolder();
    const file = path.join(await newFolder(), 'linked.hujson');
    await writeFile(file, JSON.stringify(models('one')));
    const gateway = await up({ stateDir: state, words: ['--config', file] });
    await appendFile(file, '\n// a comment\n');
    gateway.child.kill('SIGHUP');
    await until(() => gateway.log().some((line) => inForce(line) && line['cause'] === 'signal'));
    const bare = await up();
    bare.child.kill('SIGHUP');
    await until(() => bare.log().some(refusedLine));
    expect(bare.log().find(refusedLine)).toMatchObject({
      problems: ['There is no configuration file to read.'],
    });
  });
});
