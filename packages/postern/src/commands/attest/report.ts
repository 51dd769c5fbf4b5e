import { toHex } from '@postern/core/base';
import { classOf, explain } from '@postern/core/attest';
import type {
  ChainLink,
  Claims,
  EvidenceKind,
  Finding,
  TcbClaim,
  Verification,
} from '@postern/core/attest';

/** Everything that there is to say about one piece of evidence. */
export interface Report {
  readonly kind: EvidenceKind | undefined;
  readonly verification: Verification;
  readonly chain: readonly ChainLink[];
  /** What refuses; undefined where nothing was judged. */
  readonly refusals: readonly Finding[] | undefined;
  /** Its root is the test root of the insecure flag. */
  readonly isSimulated: boolean;
  readonly nowMs: number;
  /** Facts of a verdict: approved image, end. */
  readonly verdict?: { readonly image: string | undefined; readonly expiresAtMs: number };
}

const kindWords: Readonly<Record<EvidenceKind, string>> = {
  'intel-quote': 'Intel SGX or TDX quote',
  'snp-report': 'AMD SEV-SNP report',
  'nitro-document': 'AWS Nitro attestation document',
  'dstack-attestation': 'dstack attestation',
  'quote-answer': 'answer of a guest agent to GetQuote',
  certificate: 'certificate with evidence (RA-TLS)',
  'nvidia-tokens': 'NVIDIA GPU tokens',
  'azure-token': 'Microsoft Azure Attestation token',
};

const simulatedWords = [
  '*** SIMULATED EVIDENCE ***',
  'It is signed with test keys that anybody can make from a seed. It proves nothing about any machine,',
  'and counts here only because of --insecure-simulator-root.',
] as const;

/** The report as a person reads it. */
export function reportText(report: Report): string {
  const { kind, verification, chain, refusals, isSimulated } = report;
  const lines: string[] = isSimulated ? [...simulatedWords, ''] : [];
  const { claims } = verification;
  lines.push(...fields([['evidence', kind === undefined ? 'of no known form' : kindWords[kind]]]));
  if (claims !== undefined) lines.push(...subjectLines(claims));
  if (claims !== undefined) lines.push('', 'What was measured:', ...measuredLines(claims));
  if (claims?.workload !== undefined) {
    lines.push('', 'Which workload, by its measured boot:', ...workloadLines(claims));
  }
  lines.push('', 'Signed by:', ...chainLines(chain, report.nowMs));
  if (claims !== undefined) lines.push('', 'Patch level:', ...tcbLines(claims));
  if (refusals !== undefined) lines.push('', ...judgementLines(report, refusals));
  else lines.push('', 'Nothing of this was verified: postern attest verify does that.');
  if (isSimulated) lines.push('', simulatedWords[0]);
  return lines.join('\n');
}

type Field = readonly [name: string, value: string | undefined];
const nameWidth = 18;

function fields(pairs: readonly Field[]): string[] {
  return pairs.flatMap(([name, value]) =>
    value === undefined ? [] : [`  ${name.padEnd(nameWidth)}${value}`],
  );
}

function subjectLines({ platform, debug, deviceId, issuedAtMs, reportData }: Claims): string[] {
  return fields([
    ['platform', platform],
    ['machine', deviceId],
    ['debug', debug ? 'YES: the host can read everything' : 'no'],
    ['made at', issuedAtMs === undefined ? undefined : instant(issuedAtMs)],
    ['report data', reportData.length === 0 ? undefined : toHex(reportData)],
  ]);
}

function measuredLines({ measurements }: Claims): string[] {
  return fields(Object.entries(measurements));
}

function workloadLines({ workload }: Claims): string[] {
  const provider = workload?.keyProvider;
  return fields([
    ['app id', workload?.appId ?? 'none stated'],
    ['compose hash', workload?.composeHash ?? 'none stated'],
    ['instance id', workload?.instanceId],
    ['key provider', provider === undefined ? undefined : `${provider.name} ${provider.id}`],
    ['GPU evidence', workload?.gpuEvidenceHash],
  ]);
}

function chainLines(chain: readonly ChainLink[], nowMs: number): string[] {
  if (chain.length === 0) return ['  no certificates'];
  return chain.map(({ name, notBeforeMs, notAfterMs, hash }, index) => {
    const isOutside = nowMs < notBeforeMs || nowMs > notAfterMs;
    const days = `${date(notBeforeMs)} to ${date(notAfterMs)}${isOutside ? ' (not now)' : ''}`;
    const root = index === chain.length - 1 ? `  SHA-256 ${hash}` : '';
    return `  ${'  '.repeat(index)}${name}  ${days}${root}`;
  });
}

function tcbLines({ tcb, firmware, platform }: Claims): string[] {
  if (firmware !== undefined) {
    return fields(Object.entries(firmware).map(([name, version]) => [name, String(version)]));
  }
  if (tcb === undefined) {
    const isStated = platform === 'sgx' || platform === 'tdx';
    return [isStated ? '  unknown: no collateral says it' : '  this platform states none'];
  }
  return tcbFields(tcb);
}

function tcbFields({ status, dateMs, evaluationNumber, advisories }: TcbClaim): string[] {
  return fields([
    ['status', status],
    ['as of', date(dateMs)],
    ['evaluation', String(evaluationNumber)],
    ['advisories', advisories.length === 0 ? 'none' : advisories.join(', ')],
  ]);
}

function judgementLines({ verification, verdict }: Report, refusals: readonly Finding[]): string[] {
  const tolerated = verification.findings.filter((each) => !refusals.includes(each));
  const lines: string[] = [];
  if (refusals.length === 0) {
    lines.push('ACCEPTED');
    lines.push(
      ...fields([
        ['image', verdict?.image],
        ['holds until', verdict === undefined ? undefined : instant(verdict.expiresAtMs)],
      ]),
    );
  } else {
    lines.push(
      `REFUSED, for ${refusals.length === 1 ? 'one reason' : `${refusals.length} reasons`}`,
    );
    lines.push(...refusals.map(findingLine));
  }
  if (tolerated.length > 0)
    lines.push('', 'Tolerated by the policy:', ...tolerated.map(findingLine));
  return lines;
}

function findingLine(each: Finding): string {
  return `  ${each.code}: ${explain(each)}`;
}

/** The report as one JSON value. Fields are only ever added. */
export function reportJson(report: Report): unknown {
  const { kind, verification, chain, refusals, isSimulated, verdict } = report;
  const { claims, crypto } = verification;
  const finding = (each: Finding) => ({
    code: each.code,
    class: classOf(each.code),
    detail: each.detail,
    message: explain(each),
  });
  return {
    ...(refusals === undefined ? {} : { accepted: refusals.length === 0 }),
    simulated: isSimulated,
    kind: kind ?? null,
    ...(refusals === undefined ? {} : { crypto, refusals: refusals.map(finding) }),
    ...(refusals === undefined ? {} : { findings: verification.findings.map(finding) }),
    chain: chain.map(({ name, notBeforeMs, notAfterMs, hash }) => ({
      name,
      not_before: instant(notBeforeMs),
      not_after: instant(notAfterMs),
      sha256: hash,
    })),
    claims: claims === undefined ? null : claimsJson(claims),
    ...(verdict === undefined
      ? {}
      : { image: verdict.image ?? null, expires_at: instant(verdict.expiresAtMs) }),
  };
}

function claimsJson({ workload, tcb, ...claims }: Claims): unknown {
  return {
    platform: claims.platform,
    debug: claims.debug,
    device_id: claims.deviceId ?? null,
    report_data: toHex(claims.reportData),
    measurements: claims.measurements,
    firmware: claims.firmware ?? null,
    issued_at: claims.issuedAtMs === undefined ? null : instant(claims.issuedAtMs),
    tcb:
      tcb === undefined
        ? null
        : {
            status: tcb.status,
            date: instant(tcb.dateMs),
            evaluation_number: tcb.evaluationNumber,
            advisories: tcb.advisories,
          },
    workload:
      workload === undefined
        ? null
        : {
            app_id: workload.appId ?? null,
            compose_hash: workload.composeHash ?? null,
            instance_id: workload.instanceId ?? null,
            key_provider: workload.keyProvider ?? null,
            gpu_evidence_hash: workload.gpuEvidenceHash ?? null,
          },
  };
}

/** Windows may have no end; JSON and people get a word for it. */
export function instant(epochMs: number): string {
  return Number.isFinite(epochMs) ? new Date(epochMs).toISOString() : 'unbounded';
}

function date(epochMs: number): string {
  return instant(epochMs).slice(0, 10);
}
