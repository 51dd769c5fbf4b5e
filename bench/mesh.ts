/**
 * The mesh's proxies beside nginx with mutual TLS, in one run and with the same certificates (RA-TLS of a simulated machine,
 * about 10 kB): requests on kept connections in and out, full handshakes, and what a pair of proxies adds to one call.
 * Whoever is measured is alone on one core; load, backend and the far end share the other. Postern judges evidence,
 * asks the policy about every request and signs who is calling; nginx checks a chain.
 */
import { median } from './gateway/rig.ts';
import { type MeshField, openMeshField } from './mesh/field.ts';
import { load, type Loaded } from './mesh/load.ts';

const connections = 64;

interface Effort {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmSeconds: number;
}
const effort: Readonly<Record<'quick' | 'whole', Effort>> = {
  quick: { rounds: 2, seconds: 1, warmSeconds: 3 },
  whole: { rounds: 5, seconds: 4, warmSeconds: 10 },
};

export async function run({ quick }: { readonly quick: boolean }): Promise<Record<string, number>> {
  const field = await openMeshField();
  try {
    const work = quick ? effort.quick : effort.whole;
    const inbound = await compare(field, 'inbound', work);
    const outbound = await compare(field, 'outbound', work);
    const handshakes = await compare(field, 'handshakes', work);
    const added = await addedMs(field, work);
    return {
      'inbound requests/s, nginx': round(inbound.nginx.perSecond),
      'inbound requests/s, postern': round(inbound.postern.perSecond),
      'inbound, of nginx': round(inbound.ratio),
      'inbound cpu/request, nginx, us': round(inbound.nginx.cpuMicros),
      'inbound cpu/request, postern, us': round(inbound.postern.cpuMicros),
      'outbound requests/s, nginx': round(outbound.nginx.perSecond),
      'outbound requests/s, postern': round(outbound.postern.perSecond),
      'outbound, of nginx': round(outbound.ratio),
      'outbound cpu/request, nginx, us': round(outbound.nginx.cpuMicros),
      'outbound cpu/request, postern, us': round(outbound.postern.cpuMicros),
      'full handshakes/s, nginx': round(handshakes.nginx.perSecond),
      'full handshakes/s, postern': round(handshakes.postern.perSecond),
      'full handshakes, of nginx': round(handshakes.ratio),
      'handshake cpu, nginx, us': round(handshakes.nginx.cpuMicros),
      'handshake cpu, postern, us': round(handshakes.postern.cpuMicros),
      'added by the pair at p50, postern, ms': round(added.postern),
      'added by the pair at p50, nginx, ms': round(added.nginx),
    };
  } finally {
    await field.close();
  }
}

interface Compared {
  readonly nginx: Loaded;
  readonly postern: Loaded;
  /** Requests a second, ours to nginx's: the median of the rounds, each with both in it. */
  readonly ratio: number;
}

async function compare(
  field: MeshField,
  what: 'inbound' | 'outbound' | 'handshakes',
  work: Effort,
): Promise<Compared> {
  const mode = what === 'handshakes' ? 'handshake' : 'kept';
  const once = (who: 'nginx' | 'postern', seconds: number): Promise<Loaded> =>
    load({ ...field.targets[what][who], mode, connections, seconds });
  await once('nginx', 1);
  // A program on Node becomes fast only after tens of thousands of requests.
  await once('postern', work.warmSeconds);
  const rounds: { nginx: Loaded; postern: Loaded }[] = [];
  for (let at = 0; at < work.rounds; at += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other on the same core
    rounds.push({
      nginx: await once('nginx', work.seconds),
      postern: await once('postern', work.seconds),
    });
  }
  const of = (who: 'nginx' | 'postern'): Loaded => ({
    perSecond: median(rounds.map((each) => each[who].perSecond)),
    p50Micros: median(rounds.map((each) => each[who].p50Micros)),
    p99Micros: median(rounds.map((each) => each[who].p99Micros)),
    cpuMicros: median(rounds.map((each) => each[who].cpuMicros)),
    failed: rounds.reduce((sum, each) => sum + each[who].failed, 0),
  });
  const compared = { nginx: of('nginx'), postern: of('postern') };
  const ratio = median(rounds.map(({ nginx, postern }) => postern.perSecond / nginx.perSecond));
  for (const who of ['nginx', 'postern'] as const) {
    const { perSecond, p50Micros, p99Micros, cpuMicros, failed } = compared[who];
    console.log(
      `${what.padEnd(11)}${who.padEnd(9)}${perSecond.toFixed(0).padStart(8)}/s  p50 ${p50Micros.toFixed(0)} us  p99 ${p99Micros.toFixed(0)} us  cpu ${cpuMicros.toFixed(1)} us  failed ${failed}`,
    );
  }
  console.log(`${what.padEnd(11)}ours / nginx  ${ratio.toFixed(2)}`);
  return { ...compared, ratio };
}

/** One call after the other on one connection: straight to the backend, and through two proxies. */
async function addedMs(
  field: MeshField,
  work: Effort,
): Promise<Readonly<Record<'nginx' | 'postern', number>>> {
  const { direct, nginx, postern } = field.targets.pair;
  const p50 = async (target: typeof direct): Promise<number> => {
    const { p50Micros } = await load({
      ...target,
      mode: 'kept',
      connections: 1,
      seconds: work.seconds,
    });
    return p50Micros / 1_000;
  };
  await p50(postern);
  const added = { nginx: [] as number[], postern: [] as number[] };
  for (let at = 0; at < work.rounds; at += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other on the same core
    const base = await p50(direct);
    added.nginx.push((await p50(nginx)) - base);
    added.postern.push((await p50(postern)) - base);
  }
  const found = { nginx: median(added.nginx), postern: median(added.postern) };
  console.log(
    `pair       added at p50: postern ${found.postern.toFixed(3)} ms, nginx ${found.nginx.toFixed(3)} ms`,
  );
  return found;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}
