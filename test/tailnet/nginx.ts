import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Place } from './lab.ts';

const program = '/usr/sbin/nginx';
const docs = path.resolve(import.meta.dirname, '../../docs');

/** Why there is no nginx here; empty where there is one. */
export const noNginx = existsSync(program) ? '' : '(skipped: not installed)';

/** A recipe of the documentation, word for word as people read it. */
export async function recipe(page: string): Promise<string> {
  const found = /```nginx\n([\s\S]*?)```/.exec(await readFile(path.join(docs, page), 'utf8'))?.[1];
  if (found === undefined) throw new Error(`${page} has no recipe`);
  return found;
}

/** A self-signed certificate for an address, and its key. */
export async function makeCertificate(folder: string, address: string): Promise<[string, string]> {
  const certificate = path.join(folder, 'cert.pem');
  const key = path.join(folder, 'key.pem');
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2';
  await promisify(execFile)('openssl', [
    ...request.split(' '),
    '-subj',
    '/CN=vpn',
    '-keyout',
    key,
    '-out',
    certificate,
    '-addext',
    `subjectAltName=IP:${address}`,
  ]);
  return [certificate, key];
}

/**
 * Starts nginx with TLS at the address of a place: `http` goes before the server, `server` into it. Returns the
 * certificate that clients must trust.
 */
export async function startNginx(
  place: Place,
  { http = '', server }: { readonly http?: string; readonly server: string },
): Promise<string> {
  const folder = path.join(place.folder, 'nginx');
  await mkdir(folder, { recursive: true });
  const [certificate, key] = await makeCertificate(folder, place.address);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${folder}/${name};`,
  );
  const config = `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events {}
http {
  access_log off;
${temporary.join('\n')}
${http}
  server {
    listen ${place.address}:443 ssl;
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
${server}
  }
}
`;
  const file = path.join(folder, 'nginx.conf');
  await writeFile(file, config);
  place.start([program, '-p', folder, '-c', file, '-g', 'user root;']);
  for (let i = 0; i < 100; i += 1) {
    const url = `https://${place.address}/health`;
    const said = await place.run(['curl', '-s', '-m', '2', '--cacert', certificate, url]);
    if (said.out.includes('ok')) return certificate;
    await sleep(50);
  }
  const log = await readFile(path.join(folder, 'error.log'), 'utf8').catch(String);
  throw new Error(`nginx does not serve: ${log}`);
}
