import { gunzipSync } from 'node:zlib';
import { err, fromHex, jsonValueOf, ok, utf8Text } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import {
  collateralSubject,
  gpuTokens,
  hardwareEvidence,
  openCollateral,
  parseCollateral,
  vendorAnchors,
} from '@postern/core/attest';
import type {
  EvidenceContext,
  Finding,
  IntelCollateral,
  RootPins,
  TokenSignature,
} from '@postern/core/attest';
import { parseJwkSet } from '@postern/core/attest/jwk';
import { AmdCollateralService } from '@postern/server/adapters/collateral-amd';
import { CollateralService } from '@postern/server/adapters/collateral-intel';
import { checkTokens, nodeCrypto } from '@postern/server/adapters/crypto-node';
import { collateralFolder, resolveSettings } from '@postern/server/app/settings';
import type { Invocation } from '../../command.ts';
import { parseTime } from './flags.ts';
import { readInput } from './input.ts';
import type { Evidence } from './input.ts';

/** Clocks of two machines; a policy file may say otherwise for what it judges. */
const clockSkewMsMax = 300_000;
const rootHashPattern = /^[0-9a-fA-F]{64}$/;

/** What the verifier was told besides the evidence. A text is a mistake on the command line. */
export interface Told {
  readonly context: EvidenceContext;
  /** The root that the insecure flag names, lower-case hex. */
  readonly simulatorRoot: string | undefined;
}

export async function contextFor(
  evidence: Evidence,
  invocation: Invocation,
): Promise<Result<Told, string>> {
  const { options } = invocation;
  const root = simulatorRoot(options['insecureSimulatorRoot']);
  if (!root.ok) return root;
  const now = parseTime(options['now'], Date.now());
  if (!now.ok) return now;
  const role = options['role'] ?? 'server';
  if (role !== 'server' && role !== 'client') return err('--role takes server or client.');
  const certificates = await readAll(textOf(options['certs']));
  if (!certificates.ok) return certificates;
  const keys = await signatureCheck(evidence, options['keys']);
  if (!keys.ok) return keys;
  const intel: RootPins =
    root.value === undefined ? vendorAnchors.intel : new Set([...vendorAnchors.intel, root.value]);
  const pckChain = new Uint8Array(Buffer.concat(certificates.value));
  const bare: EvidenceContext = {
    crypto: nodeCrypto,
    anchors: { ...vendorAnchors, intel },
    nowMs: now.value,
    intelCollateral: undefined,
    amdCertificates: certificates.value,
    gunzip,
    role,
    clockSkewMsMax,
    isSigned: keys.value,
    azureIssuers: new Set(list(options['issuers'])),
    ...(certificates.value.length === 0 ? {} : { pckChain }),
  };
  const lists = await amdList(options['amdCrl']);
  if (!lists.ok) return lists;
  const collateral = await collateralFor(evidence, invocation, bare);
  if (!collateral.ok) return collateral;
  const stored = await storedAmd(evidence, invocation, bare);
  const context = { ...bare, ...stored, ...lists.value, intelCollateral: collateral.value };
  return ok({ context, simulatorRoot: root.value });
}

/** The hash of a test root that may count beside the vendors' own. */
export function simulatorRoot(
  option: string | boolean | undefined,
): Result<string | undefined, string> {
  if (typeof option !== 'string') return ok(undefined);
  return rootHashPattern.test(option)
    ? ok(option.toLowerCase())
    : err('--insecure-simulator-root takes the SHA-256 of a root certificate: 64 hex digits.');
}

/** From the file that is named, else from the state folder, else none. Never from the network. */
async function collateralFor(
  { kind, bytes }: Evidence,
  { options, io }: Invocation,
  context: EvidenceContext,
): Promise<Result<Result<IntelCollateral, Finding> | undefined, string>> {
  const { anchors, crypto, nowMs } = context;
  const pins = { crypto, pins: anchors.intel };
  if (typeof options['collateral'] === 'string') {
    const file = await readInput(options['collateral']);
    if (!file.ok) return file;
    const source = parseCollateral(file.value);
    return ok(source.ok ? openCollateral(source.value, pins) : source);
  }
  const { intelQuote } = kind === undefined ? {} : hardwareEvidence(kind, bytes, context);
  if (intelQuote === undefined) return ok(undefined);
  const { pckChain } = context;
  const chain = pckChain === undefined ? {} : { pckChain };
  const subject = collateralSubject(intelQuote, { ...pins, ...chain });
  if (!subject.ok) return ok(undefined);
  const stored = await new CollateralService({
    folder: collateralFolder(resolveSettings(io.flags, io.env).stateDir, 'intel'),
    crypto,
    pins: anchors.intel,
    nowMs: () => nowMs,
    remote: undefined,
  }).get(subject.value);
  // None at all is the verifier's own finding, with the family that is needed.
  const isMissing = !stored.ok && stored.error.code === 'collateral_missing';
  return ok(isMissing ? undefined : stored);
}

/** What is stored for an AMD report; certificates that were given or came with it stand alone. */
async function storedAmd(
  { kind, bytes }: Evidence,
  { io }: Invocation,
  context: EvidenceContext,
): Promise<Partial<Pick<EvidenceContext, 'amdCertificates' | 'amdRevocationList'>>> {
  const { snpReport, certificates = [] } =
    kind === undefined ? {} : hardwareEvidence(kind, bytes, context);
  if (snpReport === undefined) return {};
  const { anchors, crypto, nowMs, amdCertificates } = context;
  const stored = await new AmdCollateralService({
    folder: collateralFolder(resolveSettings(io.flags, io.env).stateDir, 'amd'),
    crypto,
    pins: anchors.amd,
    nowMs: () => nowMs,
    egress: undefined,
  }).stored(snpReport);
  if (stored === undefined) return {};
  const isGiven = amdCertificates.length + certificates.length > 0;
  const { revocationList } = stored;
  return {
    ...(isGiven ? {} : { amdCertificates: stored.certificates }),
    ...(revocationList === undefined ? {} : { amdRevocationList: revocationList }),
  };
}

async function readAll(files: string | undefined): Promise<Result<Uint8Array[], string>> {
  const read: Uint8Array[] = [];
  for (const file of list(files)) {
    const bytes = await readInput(file);
    if (!bytes.ok) return bytes;
    read.push(bytes.value);
  }
  return ok(read);
}

async function amdList(
  option: string | boolean | undefined,
): Promise<Result<{ readonly amdRevocationList?: Uint8Array }, string>> {
  if (typeof option !== 'string') return ok({});
  const file = await readInput(option);
  return file.ok ? ok({ amdRevocationList: file.value }) : file;
}

/** Tokens are checked against the keys that were named, before anything in them is looked at. */
async function signatureCheck(
  { kind, bytes }: Evidence,
  option: string | boolean | undefined,
): Promise<Result<TokenSignature, string>> {
  if (typeof option !== 'string') return ok(() => false);
  const file = await readInput(option);
  if (!file.ok) return file;
  const keys = parseJwkSet(jsonValueOf(utf8Text(file.value) ?? ''));
  if (!keys.ok) return err(`${option}: no JWK set (${JSON.stringify(keys.error)})`);
  const text = (utf8Text(bytes) ?? '').trim();
  const tokens = kind === 'nvidia-tokens' ? gpuTokens(bytes) : [text];
  return ok(await checkTokens(tokens, keys.value));
}

function gunzip(bytes: Uint8Array, bytesMax: number): Uint8Array | undefined {
  try {
    return new Uint8Array(gunzipSync(bytes, { maxOutputLength: bytesMax }));
  } catch {
    return undefined;
  }
}

function textOf(option: string | boolean | undefined): string | undefined {
  return typeof option === 'string' ? option : undefined;
}

function list(option: string | boolean | undefined): readonly string[] {
  if (typeof option !== 'string') return [];
  return option
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

/** What a challenge asked for: up to 64 bytes, filled with zeros as agents fill them. */
export function challengeOf(
  option: string | boolean | undefined,
): Result<Uint8Array | undefined, string> {
  if (typeof option !== 'string') return ok(undefined);
  const bytes = fromHex(option.replace(/^0x/, ''));
  if (bytes === undefined || bytes.length === 0 || bytes.length > reportDataBytes) {
    return err('--report-data takes 1 to 64 bytes in hex.');
  }
  const filled = new Uint8Array(reportDataBytes);
  filled.set(bytes);
  return ok(filled);
}

const reportDataBytes = 64;
