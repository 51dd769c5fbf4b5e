import { isJsonObject } from '@postern/core/base';
import { readObject, texts } from './local-api.ts';
import { askObject } from './local-node.ts';
import type { LocalApiPlace } from './local-socket.ts';
import { callLocalApi } from './local-socket.ts';

/** A machine that offers something is seen by a few gateways; more than this many are met when they call. */
const peersMetMax = 16;
/** A peer that knows us answers within milliseconds. */
const tryMs = 250;

/**
 * Opens the way to the machines that see this one, those with tags first. Until a coordination server has told another
 * machine where we are, the WireGuard handshake that it begins is lost, and its next one comes five seconds later
 * (WireGuard section 6.4, REKEY_TIMEOUT). A handshake from here spares it that: once it answers a packet of discovery,
 * which it does as soon as it knows us, a ping inside of the tunnel begins one. What does not answer in time is left.
 */
export async function meetPeers(place: LocalApiPlace, withinMs: number): Promise<void> {
  const endMs = performance.now() + withinMs;
  const status = await askObject(place, 'status');
  if (!status.ok || !isJsonObject(status.value['Peer'])) return;
  const peers = Object.values(status.value['Peer'])
    .filter(isJsonObject)
    .filter((peer) => peer['Online'] === true)
    .map((peer) => ({ address: texts(peer['TailscaleIPs'])[0], tags: texts(peer['Tags']).length }))
    .toSorted((a, b) => Math.sign(b.tags) - Math.sign(a.tags));
  const addresses = peers.flatMap(({ address }) => (address === undefined ? [] : [address]));
  await Promise.all(addresses.slice(0, peersMetMax).map((each) => meet(place, each, endMs)));
}

async function meet(place: LocalApiPlace, address: string, endMs: number): Promise<void> {
  for (const kind of ['disco', 'TSMP']) {
    // oxlint-disable-next-line no-await-in-loop -- the second is of use after the first alone
    while (!(await isAnswered(place, address, kind))) {
      if (performance.now() > endMs) return;
    }
  }
}

/** Not in time, refused by the daemon, or not delivered: asked again after the same time in each case. */
async function isAnswered(place: LocalApiPlace, address: string, kind: string): Promise<boolean> {
  const startMs = performance.now();
  const query = new URLSearchParams({ ip: address, type: kind });
  const path = `ping?${query.toString()}`;
  const done = await callLocalApi(place, { method: 'POST', path, timeoutMs: tryMs });
  const said = done.ok ? readObject(done.value) : undefined;
  if (said?.ok === true && (said.value['Err'] ?? '') === '') return true;
  await new Promise((resolve) => {
    setTimeout(resolve, Math.max(0, startMs + tryMs - performance.now()));
  });
  return false;
}
