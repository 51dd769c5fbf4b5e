import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from './lab.ts';
import { makeCertificate } from './nginx.ts';

/** A name server for TXT records in a file, as lines of a name and a value. */
const nameServer = `
const { createSocket } = require('node:dgram');
const { readFileSync } = require('node:fs');
const [address, port, file] = process.argv.slice(1);
const server = createSocket('udp4');
server.on('message', (query, source) => {
  let at = 12;
  const labels = [];
  for (let length = query[at]; length > 0; length = query[at]) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  const question = query.subarray(12, at + 5);
  const isTxt = query.readUInt16BE(at + 1) === 16;
  let text = '';
  try { text = readFileSync(file, 'utf8'); } catch {}
  const values = text.split('\\n').map((line) => line.split(' '))
    .filter(([name]) => isTxt && name === labels.join('.')).map(([, value]) => value);
  const answers = values.map((value) => {
    const head = Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1, 0, value.length + 1, value.length]);
    return Buffer.concat([head, Buffer.from(value, 'latin1')]);
  });
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8580, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(answers.length, 6);
  server.send(Buffer.concat([head, question, ...answers]), source.port, source.address);
});
server.bind(Number(port), address);
`;

export interface Authority {
  readonly directory: string;
  /** What clients must trust to talk to it. */
  readonly certificate: string;
  /** Lines of a name and a value: what a hook has to write. */
  readonly records: string;
}

/** An authority that looks up challenges in a name server of its own. */
export async function startAuthority(
  place: Place,
  { programs, folder }: { readonly programs: string; readonly folder: string },
): Promise<Authority> {
  const [certificate, privateKey] = await makeCertificate(folder, place.address);
  const records = path.join(folder, 'records');
  const config = {
    pebble: {
      listenAddress: `${place.address}:14000`,
      managementListenAddress: `${place.address}:15000`,
      certificate,
      privateKey,
      httpPort: 5_002,
      tlsPort: 5_001,
    },
  };
  const file = path.join(folder, 'pebble.json');
  await writeFile(file, JSON.stringify(config));
  place.start([process.execPath, '-e', nameServer, place.address, '8053', records]);
  const words = ['-config', file, '-dnsserver', `${place.address}:8053`];
  const env = { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' };
  place.start([path.join(programs, 'pebble'), ...words], { env });
  const directory = `https://${place.address}:14000/dir`;
  for (let i = 0; i < 100; i += 1) {
    const said = await place.run(['curl', '-s', '-m', '2', '--cacert', certificate, directory]);
    if (said.out.includes('newOrder')) return { directory, certificate, records };
    await sleep(50);
  }
  throw new Error('the authority does not start');
}
