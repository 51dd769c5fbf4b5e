import { err, ok } from '@postern/core/base';
import type { AccessRecord } from './ports.ts';
import { answered, statusWords } from './steps-credentials.ts';
import type { StepRun } from './step.ts';

interface Visit {
  readonly who: string;
  readonly from: string;
  allowed: number;
  refused: number;
  first: string;
  last: string;
  readonly codes: Set<string>;
}

/** Who came, from where, and what was refused: joined from the log and the state. */
export async function auditAccess({ ports, scribe, request }: StepRun): Promise<void> {
  const sinceMs = request.sinceMs ?? 0;
  const since = new Date(sinceMs).toISOString();
  const visits = new Map<string, Visit>();
  let read = 0;
  let seen = 0;
  let isWhole = false;
  let problem = '';
  await scribe.act(`read the log since ${since}`, async () => {
    let after = 0;
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one page after the other
      const page = await ports.records(after);
      if (!page.ok) return err(page.error);
      for (const record of page.value.items) {
        read += 1;
        if (Date.parse(record.at) < sinceMs) continue;
        seen += 1;
        note(visits, record, request.target);
      }
      if (page.value.next === undefined) break;
      after = page.value.next;
    }
    isWhole = true;
    return ok(`${read} records read, ${seen} of them in the window`);
  });
  if (scribe.isDryRun) return;
  const flaw = await ports.verify();
  problem = flaw.ok ? (flaw.value ?? 'whole') : flaw.error;
  for (const visit of [...visits.values()].toSorted((a, b) => b.refused - a.refused)) {
    const { who, from, allowed, refused, first, last, codes } = visit;
    const strange = isStranger(ports.control.snapshot(), who) ? ' (not known any more)' : '';
    const why = codes.size === 0 ? '' : ` [${[...codes].toSorted().join(', ')}]`;
    scribe.say(
      `${who}${strange} from ${from}: ${allowed} allowed, ${refused} refused${why}; ${first} to ${last}`,
    );
  }
  scribe.prove(
    'the window was read to its end',
    since,
    isWhole ? `${seen} records` : 'it was not',
    isWhole,
  );
  scribe.prove('journal and log', '', problem, flaw.ok && flaw.value === undefined);
}

function note(visits: Map<string, Visit>, record: AccessRecord, target: string | undefined): void {
  const { data } = record;
  const model = textOf(data['model']);
  if (target !== undefined && target !== 'all' && !model.startsWith(`${target}/`)) {
    if (record.kind === 'request') return;
  }
  const actor = data['actor'];
  const principal =
    typeof actor === 'object' && actor !== null && 'principal' in actor
      ? textOf(actor.principal)
      : '';
  const who = textOf(data['caller']) || principal || textOf(data['listener']) || 'unidentified';
  const from = textOf(data['client']) || textOf(data['source']) || '-';
  const key = `${who} ${from}`;
  const visit = visits.get(key) ?? {
    who,
    from,
    allowed: 0,
    refused: 0,
    first: record.at,
    last: record.at,
    codes: new Set<string>(),
  };
  const code = textOf(data['error']) || textOf(data['code']);
  const count = typeof data['count'] === 'number' ? data['count'] : 1;
  if (code === '') visit.allowed += count;
  else {
    visit.refused += count;
    visit.codes.add(code);
  }
  visit.last = record.at;
  visits.set(key, visit);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A key that was revoked or never was: whoever used it is somebody to look at. */
function isStranger(
  { keysById }: ReturnType<StepRun['ports']['control']['snapshot']>,
  who: string,
): boolean {
  if (!who.startsWith('key:')) return false;
  const key = keysById.get(who.slice('key:'.length));
  return key === undefined || key.revokedAtMs !== undefined;
}

/** Recomputes every hash. */
export async function verifyRecords({ ports, scribe }: StepRun): Promise<void> {
  let found = '';
  let isWhole = false;
  await scribe.act('recompute every hash of journal and log', async () => {
    const flaw = await ports.verify();
    if (!flaw.ok) return flaw;
    isWhole = flaw.value === undefined;
    found = flaw.value ?? 'every hash holds';
    return ok(found);
  });
  if (scribe.isDryRun) return;
  scribe.next('Against a checkpoint that was kept elsewhere: postern audit verify --against FILE');
  scribe.prove('journal and log', 'not read', found, isWhole);
}

/** Starts a model server anew, so that nothing of a conversation is left in it. */
export async function resetModel({ ports, scribe, request, signal }: StepRun): Promise<void> {
  const provider = request.target ?? '';
  const upstream = ports.upstream(provider);
  const restarter = upstream?.restarter;
  if (upstream === undefined || restarter === undefined) {
    scribe.prove(`a way to restart ${provider}`, 'none', 'none', false);
    scribe.next(`Say how ${provider} is started anew: providers.${provider}.operate.restart`);
    return;
  }
  const before = await scribe.see('start mark', async () => {
    const mark = await restarter.startMark(signal);
    return mark.ok ? mark.value : `unknown: ${mark.error}`;
  });
  await scribe.act(`start ${provider} anew by ${restarter.place}`, async () => {
    const done = await restarter.restart(signal);
    return done.ok ? ok('asked for') : done;
  });
  if (scribe.isDryRun) return;
  const credential = await upstream.credential();
  const ready = await answered(
    ports,
    () => upstream.status(credential.ok ? credential.value : undefined),
    (status) => status < 500,
  );
  const mark = await restarter.startMark(signal);
  const after = mark.ok ? mark.value : `unknown: ${mark.error}`;
  const isNew = mark.ok && after !== before && !before.startsWith('unknown: ');
  scribe.prove('the process', before, after, isNew);
  scribe.prove('its list of models', '', statusWords(ready), ready.ok && ready.value < 500);
}
