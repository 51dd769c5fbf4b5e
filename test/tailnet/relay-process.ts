import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DerpStats } from '../../packages/server/src/coordination/derp/index.ts';
import type { StunStats } from '../../packages/server/src/coordination/stun/index.ts';
import type { Place } from './lab.ts';

const startMsMax = 15_000;
const main = path.resolve(import.meta.dirname, 'relay-main.ts');

/** A relay of ours in a place of the lab, and what it has counted. */
export interface RelayProcess {
  readonly certName: string;
  readonly ports: { readonly derp: number; readonly stun: number };
  figures(): { readonly relay: DerpStats; readonly stun: StunStats };
}

export async function startRelay(place: Place): Promise<RelayProcess> {
  const child = place.start([process.execPath, main, place.address, '8443', '3478']);
  let said = '';
  let wrong = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    wrong = (wrong + text).slice(-4096);
  });
  const lines = (): readonly string[] => said.split('\n').slice(0, -1);
  for (let waitedMs = 0; lines().length < 2; waitedMs += 20) {
    if (waitedMs > startMsMax) throw new Error(`the relay does not start: ${wrong}`);
    await sleep(20);
  }
  const first = JSON.parse(lines()[0] ?? '') as { certName: string; derp: number; stun: number };
  return {
    certName: first.certName,
    ports: { derp: first.derp, stun: first.stun },
    figures: () => JSON.parse(lines().at(-1) ?? '') as ReturnType<RelayProcess['figures']>,
  };
}
