/** Opening and closing listeners: addresses, sockets, certificates. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Bind, openListener } from '@postern/server/http';
import { describe, expect, test } from 'vitest';
import { makeCertificate } from '../harness/http-framing/certificate.ts';
import { bytes, closing, dial, get, loopback, open, optionsOf } from './http-fixture.ts';

describe('opening', () => {
  test('a busy port is named with its owner', async () => {
    const first = await open();
    const second = await openListener(optionsOf({ bind: { ...loopback, port: first.port ?? 0 } }));
    expect(second).toMatchObject({ ok: false, error: { kind: 'busy' } });
    const message = second.ok ? '' : second.error.message;
    expect(message).toContain(`127.0.0.1:${first.port} is in use by`);
    if (process.platform === 'linux') expect(message).toContain(`(pid ${process.pid})`);
  });

  test('an address of another machine is not ours', async () => {
    const opened = await openListener(optionsOf({ bind: { ...loopback, host: '192.0.2.1' } }));
    expect(opened).toMatchObject({ ok: false, error: { kind: 'other' } });
  });

  test('a broken certificate is a problem, not a crash', async () => {
    const bind: Bind = { ...loopback, kind: 'tls', certificatePem: 'x', keyPem: 'y' };
    expect(await openListener(optionsOf({ bind }))).toMatchObject({
      ok: false,
      error: { kind: 'other' },
    });
  });

  test('the address is for people', async () => {
    const listener = await open();
    expect(listener.address).toBe(`127.0.0.1:${listener.port}`);
  });
});

describe('unix sockets', () => {
  async function folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'sock-'));
    closing.push(() => rm(path, { recursive: true, force: true }));
    return path;
  }

  test('have their mode, in a folder of their own, and go away with the listener', async () => {
    const path = join(await folder(), 'run', 'serve.sock');
    const listener = await open({ bind: { kind: 'unix', path, mode: 0o660 } });
    expect(listener.address).toBe(path);
    expect((await stat(path)).mode & 0o777).toBe(0o660);
    expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
    const client = await dial(listener, { kind: 'unix', path });
    expect((await client.exchange(bytes(get('/a')))).text).toContain('/a');
    await listener.close(0);
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  test('a live one is busy, a stale one is replaced, anything else is left alone', async () => {
    const run = await folder();
    const path = join(run, 'serve.sock');
    const bind: Bind = { kind: 'unix', path, mode: 0o600 };
    const first = await open({ bind });
    const second = await openListener(optionsOf({ bind }));
    expect(second).toMatchObject({ ok: false, error: { kind: 'busy' } });
    expect(first.connections).toBeLessThanOrEqual(1);

    const stalePath = join(run, 'stale.sock');
    await leaveStaleSocket(stalePath);
    await open({ bind: { ...bind, path: stalePath } });

    const filePath = join(run, 'file');
    await writeFile(filePath, 'precious');
    const third = await openListener(optionsOf({ bind: { ...bind, path: filePath } }));
    expect(third).toMatchObject({ ok: false, error: { kind: 'other' } });
  });

  test('a folder that others can write to is refused', async () => {
    const run = await folder();
    await chmod(run, 0o777);
    const bind: Bind = { kind: 'unix', path: join(run, 's'), mode: 0o600 };
    expect(await openListener(optionsOf({ bind }))).toMatchObject({
      ok: false,
      error: { kind: 'denied' },
    });
  });

  test('a path that the system would cut is refused', async () => {
    const path = join(await folder(), 'x'.repeat(120));
    const opened = await openListener(optionsOf({ bind: { kind: 'unix', path, mode: 0o600 } }));
    expect(opened).toMatchObject({ ok: false, error: { kind: 'other' } });
  });
});

/** What a killed process leaves: a socket file that nobody listens on. */
async function leaveStaleSocket(path: string): Promise<void> {
  const program = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  try {
    execFileSync(process.execPath, ['-e', program], { stdio: 'ignore' });
  } catch {
    // Killed, as intended.
  }
  await stat(path);
}

describe('TLS', () => {
  const authority = makeCertificate({ name: 'ca', subjects: [] });
  const issue = (name: string) =>
    makeCertificate({ name, subjects: ['localhost'], issuer: authority });

  function handshake(port: number, options: object = {}): Promise<TLSSocket> {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      ca: authority.certificatePem,
      servername: 'localhost',
      ...options,
    });
    closing.push(async () => socket.destroy());
    return new Promise((resolve, reject) => {
      socket.once('secureConnect', () => resolve(socket)).once('error', reject);
    });
  }

  test('is 1.3, and a new certificate is for new connections', async () => {
    const first = issue('first');
    const listener = await open({
      bind: {
        ...loopback,
        kind: 'tls',
        certificatePem: first.certificatePem,
        keyPem: first.keyPem,
      },
    });
    const port = listener.port ?? 0;
    const before = await handshake(port);
    expect(before.getProtocol()).toBe('TLSv1.3');
    expect(before.getPeerCertificate().subject.CN).toBe('first');
    await expect(handshake(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow();

    const second = issue('second');
    listener.renewCertificate(second.certificatePem, second.keyPem);
    expect((await handshake(port)).getPeerCertificate().subject.CN).toBe('second');
    expect(() => listener.renewCertificate(first.certificatePem, second.keyPem)).toThrow();
    expect((await handshake(port)).getPeerCertificate().subject.CN).toBe('second');
    await expect(handshake(port, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
  });

  test('evidence taken at accept reaches the requests of that connection', async () => {
    const certificate = issue('a');
    const seen: unknown[] = [];
    const listener = await open({
      bind: {
        ...loopback,
        kind: 'tls',
        certificatePem: certificate.certificatePem,
        keyPem: certificate.keyPem,
      },
      inspect: (peer) => ({ localOwner: { ours: false, why: `port ${peer.port}` } }),
      handler: async (request, reply) => {
        seen.push([request.peer.port, request.evidence]);
        reply.send(200, {}, '');
      },
    });
    const socket = await handshake(listener.port ?? 0);
    const { localPort } = socket;
    socket.write(get('/'));
    await expect
      .poll(() => seen)
      .toEqual([[localPort, { localOwner: { ours: false, why: `port ${localPort}` } }]]);
  });
});
