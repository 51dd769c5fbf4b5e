import { spawn, type ChildProcess } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { apart } from './apart.ts';

/** Where a drill takes place: a gateway and a model server of its own, on loopback. */
export interface DrillGround {
  readonly folder: string;
  readonly stateDir: string;
  /** A token that works before the drill. */
  readonly token: string;
  stop(): Promise<void>;
}

/**
 * A model server that is a process of its own: it asks for the key in its file, which it reads when it starts, and says
 * on which port it listens.
 */
const modelServer = `
const http = require('node:http'), fs = require('node:fs');
const [folder] = process.argv.slice(1);
const key = fs.readFileSync(folder + '/key', 'utf8').trim();
const server = http.createServer((request, response) => {
  const isKnown = request.headers.authorization === 'Bearer ' + key;
  response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' });
  response.end(JSON.stringify(isKnown ? { object: 'list', data: [{ id: 'm', object: 'model' }] } : {}));
});
const port = fs.existsSync(folder + '/port') ? Number(fs.readFileSync(folder + '/port', 'utf8')) : 0;
server.listen(port, '127.0.0.1', () => {
  fs.writeFileSync(folder + '/port', String(server.address().port));
  fs.writeFileSync(folder + '/started', process.pid + ' at ' + Date.now());
});
`;

/** Runs the model server and starts it anew whenever it ends: what a service manager does. */
const supervisor = `
const { spawn } = require('node:child_process'), fs = require('node:fs');
const [folder, script] = process.argv.slice(1);
let child;
const start = () => {
  child = spawn(process.execPath, ['-e', script, folder], { stdio: 'ignore' });
  fs.writeFileSync(folder + '/pid', String(child.pid));
  child.on('exit', () => setTimeout(start, 50));
};
process.on('SIGTERM', () => { child.removeAllListeners('exit'); child.kill(); process.exit(0); });
start();
`;

/** Ends the process; its supervisor starts another one. Waits until that one listens. */
const restartScript = `
const fs = require('node:fs');
const [folder] = process.argv.slice(1);
const before = fs.readFileSync(folder + '/started', 'utf8');
process.kill(Number(fs.readFileSync(folder + '/pid', 'utf8')), 'SIGKILL');
const end = Date.now() + 20000;
const look = () => {
  if (fs.readFileSync(folder + '/started', 'utf8') !== before) process.exit(0);
  if (Date.now() > end) process.exit(1);
  setTimeout(look, 20);
};
look();
`;

/** Takes the new key from standard input, writes it where the server reads it, and starts the server anew. */
const rotateScript = `
const fs = require('node:fs');
const [folder] = process.argv.slice(1);
fs.writeFileSync(folder + '/key', fs.readFileSync(0, 'utf8'), { mode: 0o600 });
${restartScript.replace("const fs = require('node:fs');\nconst [folder] = process.argv.slice(1);\n", '')}
`;

const issuer = 'https://drill.invalid';
const readyMsMax = 20_000;

export async function drillGround(folder: string): Promise<Result<DrillGround, string>> {
  const model = path.join(folder, 'model');
  const stateDir = path.join(folder, 'state');
  await mkdir(model, { recursive: true });
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const key = `${randomBytes(16).toString('hex')}\n`;
  // What the server asks for, and what the gateway sends.
  await writeFile(path.join(model, 'key'), key, { mode: 0o600 });
  await writeFile(path.join(model, 'gateway-key'), key, { mode: 0o600 });
  const jwtSecret = randomBytes(32).toString('hex');
  await writeFile(path.join(folder, 'jwt'), jwtSecret, { mode: 0o600 });
  const child = spawn(process.execPath, ['-e', supervisor, model, modelServer], {
    stdio: 'ignore',
  });
  if (!(await appears(path.join(model, 'started')))) {
    child.kill();
    return err('its model server does not start');
  }
  const config = path.join(stateDir, 'postern.hujson');
  const port = (await readFile(path.join(model, 'port'), 'utf8')).trim();
  await writeFile(config, configText(model, path.join(folder, 'jwt'), port), { mode: 0o600 });
  await writeFile(path.join(stateDir, 'policy.hujson'), policyText, { mode: 0o600 });
  const started = await apart(stateDir, {
    config,
    // On every address, so that there is something to shut.
    env: { POSTERN_GATEWAY_ADDR: '0.0.0.0:0' },
  });
  if (!started.ok) {
    await ended(child);
    return started;
  }
  return ok({
    folder,
    stateDir,
    token: tokenOf(jwtSecret),
    stop: async () => {
      await started.value.stop();
      await ended(child);
    },
  });
}

const policyText = JSON.stringify({
  tagOwners: { 'tag:key': [], 'tag:gateway': [] },
  grants: [
    {
      src: ['tag:key'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    },
  ],
});

function configText(model: string, jwt: string, port: string): string {
  const node = process.execPath;
  return JSON.stringify({
    providers: {
      model: {
        kind: 'openai',
        baseUrl: `http://127.0.0.1:${port}/v1`,
        models: ['m'],
        key: { file: path.join(model, 'gateway-key') },
        operate: {
          restart: {
            command: [node, '-e', restartScript, model],
            status: [
              node,
              '-e',
              "process.stdout.write(require('node:fs').readFileSync(process.argv[1] + '/started', 'utf8'))",
              model,
            ],
          },
          rotate: { command: [node, '-e', rotateScript, model] },
        },
      },
    },
    identities: {
      issuers: [{ issuer, audience: ['postern'], algorithms: ['HS256'], secret: { file: jwt } }],
      map: [
        { key: '*', as: ['tag:key'] },
        { issuer, claim: 'team', value: 'drill', as: ['tag:key'] },
      ],
    },
  });
}

function tokenOf(secret: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: issuer,
    aud: 'postern',
    sub: 'drill',
    team: 'drill',
    iat: nowSeconds - 10,
    exp: nowSeconds + 3_000,
  };
  const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

async function appears(file: string): Promise<boolean> {
  const end = Date.now() + readyMsMax;
  while (!existsSync(file) && Date.now() < end) {
    // oxlint-disable-next-line no-await-in-loop -- looked for until it is there
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  return existsSync(file);
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
