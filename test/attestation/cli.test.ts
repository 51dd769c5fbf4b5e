/** `postern attest`, run in this process: what it prints, and what it ends with. */
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runProgram } from '../../packages/postern/src/program.ts';
import {
  createCollateral,
  pemOf,
  Simulator,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { pcsAnswer } from '../fakes/pcs.ts';
import { dayMs, leafOf, nowMs, simulator } from './simulated.ts';

const at = new Date(nowMs).toISOString();
const flag = ['--insecure-simulator-root', simulator.rootHash];
const reportData = new Uint8Array(64).fill(0x21);
const { quote, eventLog } = simulator.quote(reportData);
const hex = Buffer.from(quote).toString('hex');

let folder = '';
const file = (name: string): string => path.join(folder, name);

const policy = {
  platforms: ['tdx'],
  images: [
    {
      name: 'simulated',
      platform: 'tdx',
      measurements: {
        mrtd: '0D'.repeat(48),
        rtmr0: '10'.repeat(48),
        rtmr1: '11'.repeat(48),
        rtmr2: '12'.repeat(48),
      },
    },
  ],
  apps: [{ appId: simulator.app.appId, composeHashes: [simulator.app.composeHash] }],
  devices: [simulator.deviceId],
  keyProviders: [simulator.app.keyProvider.id],
};

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'attest-cli-'));
  const answer = { quote: hex, event_log: eventLog, report_data: '21'.repeat(64), vm_config: '{}' };
  const attestation = Buffer.from(simulator.attestation(reportData)).toString('hex');
  const leaf = pemOf('CERTIFICATE', leafOf());
  await Promise.all([
    writeFile(file('quote.bin'), quote),
    writeFile(file('quote.hex'), `0x${hex}\n`),
    writeFile(
      file('quote.b64'),
      Buffer.from(quote).toString('base64').replaceAll(/.{76}/g, '$&\n'),
    ),
    writeFile(file('answer.json'), JSON.stringify(answer)),
    writeFile(file('attest.json'), JSON.stringify({ attestation })),
    writeFile(file('tls.json'), JSON.stringify({ key: '', certificate_chain: [leaf] })),
    writeFile(file('leaf.pem'), leaf),
    writeFile(file('leaf.der'), leafOf()),
    writeFile(file('broken.bin'), quote.with(600, 0xff)),
    writeFile(file('noise.bin'), new Uint8Array(64).fill(0xc1)),
    writeFile(file('empty'), ''),
    writeFile(file('collateral.json'), JSON.stringify(simulator.collateral())),
    writeFile(file('policy.hujson'), `// a comment\n${JSON.stringify(policy, undefined, 2)}`),
    writeFile(file('nobody.hujson'), '{}'),
    writeFile(file('misspelt.hujson'), '{\n  "aps": [],\n}'),
  ]);
});
afterAll(() => rm(folder, { recursive: true }));

async function postern(...words: string[]) {
  let out = '';
  let complaint = '';
  const code = await runProgram(['--state', file('state'), ...words], {
    writeOut: (text) => {
      out += text;
    },
    writeErr: (text) => {
      complaint += text;
    },
    readInput: () => Promise.resolve(undefined),
    isTerminal: false,
    isInteractive: false,
    env: {},
  });
  return { code, out, err: complaint };
}

const held = (): string[] => ['--collateral', file('collateral.json'), '--now', at];

describe('attest verify', () => {
  test.each([
    'quote.bin',
    'quote.hex',
    'quote.b64',
    'answer.json',
    'attest.json',
    'tls.json',
    'leaf.pem',
    'leaf.der',
  ])('accepts %s under the insecure flag, and says loudly that it is simulated', async (name) => {
    const { code, out } = await postern('attest', 'verify', file(name), ...held(), ...flag);
    expect(out).toContain('*** SIMULATED EVIDENCE ***');
    expect(out).toContain('\nACCEPTED\n');
    expect(code).toBe(0);
  });

  test('refuses the simulator without the flag: its root is pinned nowhere', async () => {
    const { code, out } = await postern('attest', 'verify', file('quote.bin'), ...held());
    expect(code).toBe(1);
    expect(out).toContain('root_not_pinned: The chain does not end at a pinned root.');
    expect(out).not.toContain('SIMULATED');
  });

  test('refuses a changed byte, and names every reason', async () => {
    const { code, out } = await postern(
      '--json',
      'attest',
      'verify',
      file('broken.bin'),
      ...held(),
      ...flag,
    );
    expect(code).toBe(1);
    const answer = JSON.parse(out);
    expect(answer).toMatchObject({ accepted: false, crypto: 'invalid', simulated: true });
    expect(answer.refusals[0]).toEqual({
      code: 'quote_signature_invalid',
      class: 'crypto',
      detail: '',
      message: 'The attestation key did not sign this quote.',
    });
  });

  test('says what was measured, who signed and which patch level, in JSON too', async () => {
    const { out } = await postern(
      '--json',
      'attest',
      'verify',
      file('answer.json'),
      ...held(),
      ...flag,
    );
    const answer = JSON.parse(out);
    expect(answer).toMatchObject({
      accepted: true,
      kind: 'quote-answer',
      claims: {
        platform: 'tdx',
        device_id: simulator.deviceId,
        tcb: { status: 'UpToDate', evaluation_number: 18, date: '2025-05-14T00:00:00.000Z' },
        workload: { app_id: simulator.app.appId, compose_hash: simulator.app.composeHash },
      },
    });
    expect(answer.chain.map(({ name }: { name: string }) => name)).toEqual([
      'Intel SGX PCK Certificate',
      'Intel SGX PCK Platform CA',
      'Intel SGX Root CA',
    ]);
  });

  test('without collateral the patch level is unknown and that refuses', async () => {
    const { code, out } = await postern(
      'attest',
      'verify',
      file('quote.bin'),
      '--now',
      at,
      ...flag,
    );
    expect(code).toBe(1);
    expect(out).toContain('collateral_missing');
  });

  test('a challenge must be answered', async () => {
    const asked = async (data: string) =>
      (
        await postern(
          'attest',
          'verify',
          file('quote.bin'),
          '--report-data',
          data,
          ...held(),
          ...flag,
        )
      ).code;
    expect(await asked('21'.repeat(64))).toBe(0);
    expect(await asked('22'.repeat(64))).toBe(1);
    expect(await asked('21'.repeat(65))).toBe(2);
  });

  test('bytes of no known form are refused', async () => {
    const { code, out } = await postern('attest', 'verify', file('noise.bin'));
    expect(code).toBe(1);
    expect(out).toContain('malformed_evidence');
  });

  test.each([
    [['attest', 'verify', '/nowhere/at/all'], 'there is no such file'],
    [['attest', 'verify', 'EMPTY'], 'The evidence is empty.'],
    [['attest', 'verify', 'QUOTE', '--now', 'yesterday'], '--now takes a time'],
    [['attest', 'verify', 'QUOTE', '--role', 'king'], '--role takes server or client'],
    [['attest', 'verify', 'QUOTE', '--insecure-simulator-root', 'ff'], '64 hex digits'],
    [['attest', 'verify', 'QUOTE', '--collateral', '/nowhere'], 'there is no such file'],
    [['attest', 'appraise', 'QUOTE'], 'Appraisal needs a policy'],
    [['attest', 'simulate', '--socket', '/tmp/x'], '--seed HEX'],
    [['attest', 'simulate', '--socket', '/tmp/x', '--seed', 'zz'], '8 to 64 bytes in hex'],
    [['attest', 'collateral', 'steal'], 'list, import FILE or refresh'],
    [['attest', 'collateral', 'refresh', '--pccs', 'ftp://x'], '--pccs takes an address'],
  ])('%j is a mistake on the command line', async (words, message) => {
    const given = words.map((word) =>
      word === 'QUOTE' ? file('quote.bin') : word === 'EMPTY' ? file('empty') : word,
    );
    const { code, err, out } = await postern(...given);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(message);
  });

  test('reads bytes from standard input', async () => {
    const words = ['attest', 'verify', ...held(), ...flag, '--json'];
    const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
    const child = spawn(process.execPath, [main, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(quote);
    let out = '';
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString();
    });
    const [code] = await once(child, 'close');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ accepted: true, simulated: true });
  });
});

test('attest show judges nothing', async () => {
  const { code, out } = await postern('attest', 'show', file('broken.bin'));
  expect(code).toBe(0);
  expect(out).toContain('Nothing of this was verified');
  expect(out).not.toMatch(/ACCEPTED|REFUSED/);
  expect((await postern('attest', 'show', file('noise.bin'))).code).toBe(1);
});

describe('attest appraise', () => {
  const appraised = (name: string, with_: string) =>
    postern('attest', 'appraise', file(name), '--policy', file(with_), ...held(), ...flag);

  test('accepts what the policy names', async () => {
    const { code, out } = await appraised('answer.json', 'policy.hujson');
    expect(out).toContain('image             simulated');
    expect(code).toBe(0);
  });

  test('an empty policy accepts nothing', async () => {
    const { code, out } = await appraised('answer.json', 'nobody.hujson');
    expect(code).toBe(1);
    for (const each of [
      'platform_not_allowed',
      'image_not_allowed',
      'app_not_allowed',
      'device_not_allowed',
    ]) {
      expect(out).toContain(each);
    }
  });

  test('a quote without its events names no app', async () => {
    const { code, out } = await appraised('quote.bin', 'policy.hujson');
    expect(code).toBe(1);
    expect(out).toContain('app_unknown');
  });

  test('a key that the schema does not know is an error with its place', async () => {
    const { code, err } = await appraised('quote.bin', 'misspelt.hujson');
    expect(code).toBe(2);
    expect(err).toContain('misspelt.hujson:2:');
    expect(err).toContain('/aps: there is no such key here');
  });
});

describe('attest collateral', () => {
  test('imports a file once it verifies, lists it, and verify uses it', async () => {
    const imported = await postern(
      'attest',
      'collateral',
      'import',
      file('collateral.json'),
      '--now',
      at,
      ...flag,
    );
    expect(imported).toMatchObject({ code: 0, err: '' });
    const stored = file('state/collateral/intel/tdx-50534d000000-platform.json');
    expect((await stat(stored)).mode & 0o777).toBe(0o600);
    const listed = await postern('--json', 'attest', 'collateral', 'list', '--now', at, ...flag);
    expect(JSON.parse(listed.out)).toMatchObject([{ fmspc: '50534d000000', usable: true }]);
    const verified = await postern('attest', 'verify', file('quote.bin'), '--now', at, ...flag);
    expect(verified.code).toBe(0);
    const late = new Date(nowMs + 7 * dayMs).toISOString();
    const ended = await postern('attest', 'verify', file('quote.bin'), '--now', late, ...flag);
    expect([ended.code, ended.out.includes('collateral_expired')]).toEqual([1, true]);
  });

  test('refuses a file that nobody signed', async () => {
    await writeFile(
      file('forged.json'),
      JSON.stringify({ ...simulator.collateral(), tcb_info: '{}' }),
    );
    const { code, err } = await postern(
      'attest',
      'collateral',
      'import',
      file('forged.json'),
      '--now',
      at,
      ...flag,
    );
    expect(code).toBe(1);
    expect(err).toContain('tcb_info_signature_invalid: Intel did not sign this TCB info.');
  });

  test('refreshes from a caching service what a quote needs', async () => {
    const source = createCollateral(simulator.pki, {
      issuedAtMs: nowMs,
      nextUpdateMs: nowMs + 9 * dayMs,
    });
    const server = createServer((request, response) => {
      const { status, headers, body } = pcsAnswer(
        new URL(request.url ?? '', 'http://pccs'),
        source,
      );
      response.writeHead(status, headers).end(body);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const { code, out, err } = await postern(
      '--json',
      'attest',
      'collateral',
      'refresh',
      file('leaf.pem'),
      '--pccs',
      url,
      '--now',
      at,
      ...flag,
    );
    server.close();
    expect([code, err]).toEqual([0, '']);
    expect(JSON.parse(out)).toMatchObject([{ tee: 'tdx', ca: 'platform', usable: true }]);
    const down = await postern(
      'attest',
      'collateral',
      'refresh',
      'tdx-50534d000000-platform',
      '--pccs',
      url,
      '--now',
      at,
      ...flag,
    );
    expect([down.code, down.err.startsWith('collateral_missing')]).toEqual([1, true]);
  });
});

test('attest simulate serves until a signal, and its evidence is accepted by the files that it wrote', async () => {
  const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');
  const seed = '00112233445566778899aabbccddeeff';
  const words = [
    'attest',
    'simulate',
    '--socket',
    file('agent.sock'),
    '--seed',
    seed,
    '--out',
    file('sim'),
  ];
  const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [first] = await once(child.stdout, 'data');
  const said = String(first);
  expect(said).toContain('*** SIMULATED GUEST AGENT');
  const root = new Simulator({ seed, nowMs: () => 0 }).rootHash;
  expect(said).toContain(root);
  expect((await stat(file('agent.sock'))).mode & 0o777).toBe(0o600);
  const answer = await callSocket(file('agent.sock'), '/GetQuote', {
    report_data: '07'.repeat(64),
  });
  await writeFile(file('simulated.json'), answer);
  const sim = ['--collateral', file('sim/collateral.json'), '--policy', file('sim/policy.hujson')];
  const { code, out } = await postern(
    'attest',
    'appraise',
    file('simulated.json'),
    ...sim,
    '--insecure-simulator-root',
    root,
  );
  expect(out).toContain('*** SIMULATED EVIDENCE ***');
  expect(code).toBe(0);
  expect(await readFile(file('sim/policy.hujson'), 'utf8')).toContain('For tests alone.');
  child.kill('SIGTERM');
  const [ended] = await once(child, 'close');
  expect(ended).toBe(0);
});

async function callSocket(socketPath: string, method: string, body: unknown): Promise<string> {
  const call = request({
    socketPath,
    path: method,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  });
  call.end(JSON.stringify(body));
  const [response] = await once(call, 'response');
  let text = '';
  for await (const piece of response) text += String(piece);
  return text;
}
