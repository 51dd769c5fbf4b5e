/** Incidents on whole processes: a drill of every step, and revocations that reach every gateway. */
import { execFileSync } from 'node:child_process';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keysAsTags } from '../conformance/gateway.ts';
import { chatChunk } from '../conformance/gateway-fixture.ts';
import type { LocalServer } from '../fakes/local-server.ts';
import { newDatabase, noPostgres, startPostgres } from '../fakes/local-server.ts';
import { replica } from '../fakes/replicas.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { dataFrames, sse, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import type { Up } from './process.ts';
import { newFolder, up } from './process.ts';

const nobodyAnswers = new Promise<never>(() => undefined);

describe('a drill', () => {
  test('carries out all eight steps, and its evidence is signed, on the record and checked anywhere', async () => {
    const gate = await up();
    const before = JSON.parse((await gate.cli('check', '--json')).out) as Report;
    expect(verdictOf(before, 'incident-drilled')).toBe('fail');
    const drilled = await gate.cli('incident', 'drill', '--json');
    const { evidence, file } = JSON.parse(drilled.out) as {
      evidence: {
        proofs: readonly { what: string; holds: boolean; after: string }[];
        verdict: string;
      };
      file: string;
    };
    expect(evidence.proofs.filter(({ holds }) => !holds)).toEqual([]);
    expect(evidence.proofs.map(({ what }) => what.replace(/ \(.*/, ''))).toEqual([
      'audit-access',
      'rotate',
      'rotate',
      'isolate',
      'reset-model',
      'revoke-jwts',
      'block-ip',
      'verify-records',
      'restore',
    ]);
    expect([drilled.code, evidence.verdict]).toEqual([0, 'proven']);
    const after = JSON.parse((await gate.cli('check', '--json')).out) as Report;
    expect(verdictOf(after, 'incident-drilled')).toBe('pass');

    const key = (await gate.cli('audit', 'key')).out.trim();
    const elsewhere = path.join(await newFolder(), 'x.evidence');
    const note = await readFile(file, 'utf8');
    await writeFile(elsewhere, note);
    expect((await gate.cli('incident', 'verify', elsewhere, '--key', key)).code).toBe(0);
    for (const changed of [
      note.replace('"proven"', '"proven "'),
      note.slice(0, -9),
      `${note}x\n`,
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- one file after the other
      await writeFile(elsewhere, changed);
      // oxlint-disable-next-line no-await-in-loop -- as above
      expect((await gate.cli('incident', 'verify', elsewhere, '--key', key)).code).toBe(1);
    }
    expect(opensslAccepts(note, key, await newFolder())).toBe(true);
    expect((await readdir(path.join(gate.stateDir, 'incidents'))).length).toBe(1);
  }, 120_000);
});

interface Report {
  readonly findings: readonly { id: string; verdict: string }[];
}

function verdictOf({ findings }: Report, id: string): string | undefined {
  return findings.find((each) => each.id === id)?.verdict;
}

/** The signature by a program that shares nothing with us. */
function opensslAccepts(note: string, key: string, folder: string): boolean {
  const spki = Buffer.from('302a300506032b6570032100', 'hex');
  const bytes = Buffer.from(key.split('+').slice(2).join('+'), 'base64').subarray(1);
  const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.concat([spki, bytes]).toString('base64')}\n-----END PUBLIC KEY-----\n`;
  const end = note.lastIndexOf('\n\n');
  const signature = Buffer.from(note.slice(end).trim().split(' ')[2] ?? '', 'base64').subarray(4);
  const [keyFile, textFile, signatureFile] = ['k', 't', 's'].map((name) => path.join(folder, name));
  execFileSync('sh', ['-c', 'cat > "$0"', keyFile ?? ''], { input: pem });
  execFileSync('sh', ['-c', 'cat > "$0"', textFile ?? ''], { input: note.slice(0, end + 1) });
  execFileSync('sh', ['-c', 'cat > "$0"', signatureFile ?? ''], { input: signature });
  const args = [
    'pkeyutl',
    '-verify',
    '-pubin',
    '-inkey',
    keyFile ?? '',
    '-rawin',
    '-in',
    textFile ?? '',
  ];
  const said = execFileSync('openssl', [...args, '-sigfile', signatureFile ?? ''], {
    encoding: 'utf8',
  });
  return said.includes('Signature Verified Successfully');
}

describe.skipIf(noPostgres !== '')(`three gateways ${noPostgres}`, () => {
  const issuer = 'https://issuer.test';
  let postgres: LocalServer;
  let upstream: ScriptedUpstream;
  let gates: readonly Up[];
  let token: string;
  let doomed = '';
  let made = 0;
  beforeEach(async () => {
    postgres = await startPostgres();
    upstream = await startScriptedUpstream();
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
    const jwksFile = path.join(await newFolder(), 'jwks.json');
    await writeFile(jwksFile, JSON.stringify({ keys: [jwk] }));
    const issuedAt = Math.floor(Date.now() / 1_000) - 60;
    token = await new SignJWT({ team: 'ai' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(issuer)
      .setAudience('postern')
      .setSubject('ann')
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + 3_000)
      .sign(privateKey);
    const options = {
      postgres: await newDatabase(postgres),
      upstream: upstream.url,
      more: {
        identities: {
          issuers: [{ issuer, audience: ['postern'], algorithms: ['ES256'], jwksFile }],
          map: [...keysAsTags().map, { issuer, claim: 'team', value: 'ai', as: ['tag:key'] }],
        },
      },
    };
    const first = await replica('gw-1', options);
    gates = [first, ...(await Promise.all([replica('gw-2', options), replica('gw-3', options)]))];
  }, 120_000);
  afterEach(async () => {
    await upstream.close();
    await postgres.remove();
  }, 120_000);

  /** An answer that has begun on a gateway and never ends by itself; resolves when it is cut, and how long after. */
  async function open(gate: Up, bearer: string): Promise<{ ended: Promise<number> }> {
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(chatChunk({ role: 'assistant', content: 'Hel' })),
        { wait: nobodyAnswers },
      ],
    });
    const request = http.request(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      agent: false,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    });
    request.on('error', () => undefined);
    request.end(
      JSON.stringify({ model: 'm/a', stream: true, messages: [{ role: 'user', content: 'x' }] }),
    );
    const response = await new Promise<http.IncomingMessage>((resolve) => {
      request.on('response', resolve);
    });
    expect(response.statusCode).toBe(200);
    response.resume().on('error', () => undefined);
    const ended = new Promise<number>((resolve) => {
      response.on('close', () => {
        expect(response.complete).toBe(false);
        resolve(performance.now());
      });
    });
    return { ended };
  }

  /** A change is with every gateway within a moment; a kept connection may have been cut with whoever had used it. */
  const works = async (bearer: string): Promise<void> => {
    for (const gate of gates) {
      const status = (): Promise<number> =>
        gate.get('/v1/models', { authorization: `Bearer ${bearer}` }).then(
          (answer) => answer.status,
          () => 0,
        );
      // oxlint-disable-next-line no-await-in-loop -- one gateway after the other
      await expect.poll(status).toBe(200);
    }
  };

  /** What an operator does to whoever is to go; the address is that of everybody, so it comes last. */
  const revocations: Readonly<Record<string, (leader: Up) => Promise<boolean>>> = {
    'a key': async (leader) => (await leader.cli('key', 'revoke', doomed)).code === 0,
    tokens: async (leader) => {
      const replicas = gates.slice(1).map(({ url }) => url);
      const words = ['--replica', replicas.join(','), '--token-file', await fileOf(token)];
      return (await leader.cli('incident', 'revoke-jwts', ...words)).code === 0;
    },
    'a principal': async (leader) => {
      const listed = (await leader.cli('key', 'list', '--json')).out;
      const item = listed.slice(listed.indexOf(doomed) - 80);
      const id = /key_[0-9a-z]+/i.exec(item)?.[0] ?? '';
      return (await block(leader, `key:${id}`)).status === 201;
    },
    'an address': async (leader) =>
      (await leader.cli('incident', 'block-ip', '--address', '127.0.0.1', '--force')).code === 0,
  };

  test('cut what is open within 10 s of a revocation, whatever was revoked, and refuse it from then on', async () => {
    const [leader] = gates;
    if (leader === undefined) throw new Error('nobody leads');
    for (const [what, revoke] of Object.entries(revocations)) {
      made += 1;
      doomed = `doomed-${made}`;
      // oxlint-disable-next-line no-await-in-loop -- one kind of revocation after the other
      const ms = await cutEverywhere(leader, what === 'tokens', revoke);
      expect(ms, what).toBeLessThan(10_000);
    }
  }, 120_000);

  async function cutEverywhere(
    leader: Up,
    isToken: boolean,
    revoke: (leader: Up) => Promise<boolean>,
  ): Promise<number> {
    const secret = (await leader.cli('key', 'create', doomed)).out.trim();
    const bearer = isToken ? token : secret;
    await works(bearer);
    const streams: { ended: Promise<number> }[] = [];
    // oxlint-disable-next-line no-await-in-loop -- the upstream answers in the order of its scripts
    for (const gate of gates) streams.push(await open(gate, bearer));
    const began = performance.now();
    expect(await revoke(leader)).toBe(true);
    const times = await Promise.all(streams.map(({ ended }) => ended));
    for (const gate of gates) {
      // oxlint-disable-next-line no-await-in-loop -- one gateway after the other
      const refused = await gate
        .get('/v1/models', { authorization: `Bearer ${bearer}` })
        .then(({ status }) => status)
        .catch(() => 'closed');
      expect([401, 403, 'closed']).toContain(refused);
    }
    return Math.max(...times) - began;
  }

  async function fileOf(text: string): Promise<string> {
    const file = path.join(await newFolder(), 'token');
    await writeFile(file, text);
    return file;
  }

  function block(gate: Up | undefined, principal: string): Promise<{ status: number }> {
    return new Promise((resolve, reject) => {
      const request = http.request(
        {
          socketPath: path.join(gate?.stateDir ?? '', 'run', 'control.sock'),
          method: 'POST',
          path: '/api/v1/blocks',
          headers: { host: 'localhost', 'content-type': 'application/json' },
        },
        (response) => {
          response.resume();
          resolve({ status: response.statusCode ?? 0 });
        },
      );
      request.on('error', reject);
      request.end(JSON.stringify({ principal }));
    });
  }
});
