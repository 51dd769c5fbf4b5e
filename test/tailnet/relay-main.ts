/** A relay and STUN alone, as a process: `node relay-main.ts HOST DERP-PORT STUN-PORT`. Prints its pin, then its figures. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import process from 'node:process';
import {
  createPinnedCertificate,
  DerpRelay,
  openDerpListener,
} from '../../packages/server/src/coordination/derp/index.ts';
import { generateKeyPair } from '../../packages/server/src/coordination/noise/index.ts';
import { StunServer } from '../../packages/server/src/coordination/stun/index.ts';

const [host = '127.0.0.1', derpPort = '0', stunPort = '0'] = process.argv.slice(2);
const nowMs = (): number => performance.now();
const relay = new DerpRelay({
  keyPair: generateKeyPair(),
  mayUse: () => true,
  nowMs,
  randomBytes,
  onEnd: ({ nodeKey, why }) => process.stderr.write(`${nodeKey ?? '-'}: ${why}\n`),
});
const certificate = createPinnedCertificate({ host, nowMs: Date.now(), randomBytes });
const opened = await openDerpListener({
  relay,
  host,
  port: Number(derpPort),
  certificate,
  nowMs: () => Date.now(),
});
if (!opened.ok) throw opened.error;
const stun = new StunServer({ nowMs });
const udp = createSocket('udp4');
udp.on('message', (datagram, source) => {
  const answer = stun.answer(datagram, source);
  if (answer !== undefined) udp.send(answer, source.port, source.address);
});
await new Promise<void>((resolve) => udp.bind(Number(stunPort), host, () => resolve()));
const ports = { derp: opened.value.port, stun: udp.address().port };
process.stdout.write(`${JSON.stringify({ ...ports, certName: certificate.certName })}\n`);
setInterval(() => {
  process.stdout.write(`${JSON.stringify({ relay: relay.stats, stun: stun.stats })}\n`);
}, 200).unref();
