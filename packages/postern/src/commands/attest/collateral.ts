import { collateralSubject, hardwareEvidence, vendorAnchors } from '@postern/core/attest';
import type { CollateralSubject, Finding } from '@postern/core/attest';
import { explain } from '@postern/core/attest';
import { err, ok, utf8Text } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import {
  cachingOrigin,
  CollateralService,
  intelOrigin,
} from '@postern/server/adapters/collateral-intel';
import type { CollateralEntry, CollateralOrigin } from '@postern/server/adapters/collateral-intel';
import { nodeCrypto } from '@postern/server/adapters/crypto-node';
import { createEgress } from '@postern/server/adapters/egress-socket';
import { collateralFolder, resolveSettings } from '@postern/server/app/settings';
import type { ExitCode, Invocation, Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { table } from '../../output/table.ts';
import { simulatorRoot } from './context.ts';
import { parseTime } from './flags.ts';
import { decodeEvidence, readInput } from './input.ts';
import { misuse } from './judge.ts';
import { instant } from './report.ts';

export const run: Run = async (invocation) => {
  const { args, options, io } = invocation;
  const root = simulatorRoot(options['insecureSimulatorRoot']);
  if (!root.ok) return misuse(invocation, root.error);
  const now = parseTime(options['now'], Date.now());
  if (!now.ok) return misuse(invocation, now.error);
  const pins = new Set(vendorAnchors.intel);
  if (root.value !== undefined) pins.add(root.value);
  const base = {
    folder: collateralFolder(resolveSettings(io.flags, io.env).stateDir, 'intel'),
    crypto: nodeCrypto,
    pins,
    nowMs: () => now.value,
  };
  const offline = new CollateralService({ ...base, remote: undefined });
  switch (args['action'] ?? '') {
    case 'list':
      return list(invocation, offline);
    case 'import':
      return importFile(invocation, offline);
    case 'refresh': {
      const origin = await originOf(options);
      if (!origin.ok) return misuse(invocation, origin.error);
      const handle = createEgress();
      try {
        const remote = { origin: origin.value, egress: handle.egress };
        return await refresh(invocation, new CollateralService({ ...base, remote }), pins);
      } finally {
        await handle.close();
      }
    }
    default:
      return misuse(invocation, 'postern attest collateral takes list, import FILE or refresh.');
  }
};

async function list({ io }: Invocation, service: CollateralService): Promise<ExitCode> {
  const entries = await service.list();
  if (io.json) io.outJson(entries.map(entryJson));
  else if (entries.length === 0) io.out('No collateral is stored.');
  else io.out(entryTable(entries));
  return exitCodes.ok;
}

async function importFile(invocation: Invocation, service: CollateralService): Promise<ExitCode> {
  const { args } = invocation;
  const file = await readInput(args['target']);
  if (!file.ok) return misuse(invocation, file.error);
  const imported = await service.import(file.value);
  if (!imported.ok) return refuse(invocation, [imported.error]);
  return show(invocation, [imported.value]);
}

async function refresh(
  invocation: Invocation,
  service: CollateralService,
  pins: ReadonlySet<string>,
): Promise<ExitCode> {
  const subjects = await subjectsOf(invocation.args['target'], service, pins);
  if (!subjects.ok) return misuse(invocation, subjects.error);
  const entries: CollateralEntry[] = [];
  const problems: Finding[] = [];
  for (const subject of subjects.value) {
    const fetched = await service.refresh(subject);
    if (fetched.ok) entries.push(fetched.value);
    else problems.push(fetched.error);
  }
  return problems.length > 0 ? refuse(invocation, problems) : show(invocation, entries);
}

/** All that is stored, a subject by its name, or the one that the evidence in a file needs. */
async function subjectsOf(
  target: string | undefined,
  service: CollateralService,
  pins: ReadonlySet<string>,
): Promise<Result<readonly CollateralSubject[], string>> {
  if (target === undefined) return ok((await service.list()).map(({ subject }) => subject));
  const [, tee, fmspc, ca] =
    /^(sgx|tdx)-([0-9a-f]{12})-(platform|processor)$/.exec(target.toLowerCase()) ?? [];
  if (fmspc !== undefined) {
    const kind = tee === 'sgx' ? 'sgx' : 'tdx';
    return ok([{ tee: kind, fmspc, ca: ca === 'platform' ? 'platform' : 'processor' }]);
  }
  const file = await readInput(target);
  if (!file.ok) return file;
  const { kind, bytes } = decodeEvidence(file.value);
  const { intelQuote } = kind === undefined ? {} : hardwareEvidence(kind, bytes, {});
  if (intelQuote === undefined) return err(`${target}: there is no Intel quote in it`);
  const subject = collateralSubject(intelQuote, { crypto: nodeCrypto, pins });
  return subject.ok ? ok([subject.value]) : err(`${target}: ${explain(subject.error)}`);
}

async function originOf(options: Invocation['options']): Promise<Result<CollateralOrigin, string>> {
  const { pccs, pccsCa } = options;
  if (typeof pccs !== 'string') return ok(intelOrigin);
  const url = URL.canParse(pccs) ? new URL(pccs) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    return err('--pccs takes an address such as https://pccs.example:8081/.');
  }
  if (typeof pccsCa !== 'string') return ok(cachingOrigin(url));
  const file = await readInput(pccsCa);
  if (!file.ok) return file;
  const pem = utf8Text(file.value);
  return pem === undefined ? err(`${pccsCa}: not PEM`) : ok(cachingOrigin(url, pem));
}

function show({ io }: Invocation, entries: readonly CollateralEntry[]): ExitCode {
  if (io.json) io.outJson(entries.map(entryJson));
  else io.out(entries.length === 0 ? 'No collateral is stored.' : entryTable(entries));
  return exitCodes.ok;
}

function refuse({ io }: Invocation, problems: readonly Finding[]): ExitCode {
  const lines = problems.map((each) => `${each.code}: ${explain(each)}`);
  if (io.json) {
    io.outJson({ refusals: problems.map((each) => ({ ...each, message: explain(each) })) });
  } else io.err(lines.join('\n'));
  return exitCodes.failed;
}

function entryTable(entries: readonly CollateralEntry[]): string {
  return table(
    ['subject', 'evaluation', 'issued', 'ends', 'stored', 'state'],
    entries.map(({ subject, collateral, storedAtMs, findings }) => [
      `${subject.tee}-${subject.fmspc}-${subject.ca}`,
      String(collateral.tcbInfo.evaluationNumber),
      instant(collateral.window.notBeforeMs),
      instant(collateral.window.notAfterMs),
      instant(storedAtMs),
      findings.length === 0 ? 'good' : findings.map(({ code }) => code).join(' '),
    ]),
  );
}

function entryJson({ subject, collateral, storedAtMs, findings }: CollateralEntry): unknown {
  return {
    ...subject,
    evaluation_number: collateral.tcbInfo.evaluationNumber,
    issued_at: instant(collateral.window.notBeforeMs),
    ends_at: instant(collateral.window.notAfterMs),
    stored_at: instant(storedAtMs),
    usable: findings.length === 0,
    findings: findings.map((each) => ({ ...each, message: explain(each) })),
  };
}
