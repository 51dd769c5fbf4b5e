import { readFile } from 'node:fs/promises';
import { appraisalPolicyOf, vendorAnchors } from '@postern/core/attest';
import type { AppraisalPolicy } from '@postern/core/attest';
import type { Certificate, SpiffeBundle } from '@postern/core/attest/x509';
import { parseCertificate, parseSpiffeBundle } from '@postern/core/attest/x509';
import type { Result } from '@postern/core/base';
import { err, ok, parseJson, requestJsonLimits } from '@postern/core/base';
import { readPem } from '@postern/core/base/der';
import { parseDocument } from '@postern/core/base/hujson';
import type { MeshConfig } from '@postern/core/contract';
import { parseAppraisal } from '@postern/core/contract/appraisal';
import type { MeshTrust } from '../../mesh/index.ts';
import { revokedOf } from '../../mesh/index.ts';

/** Files of trust are small; a bundle of 256 authorities is the largest. */
const fileBytesMax = 4_194_304;

/** Everything that the `trust` of a configuration names, read. `generation` grows with every reading. */
export async function loadTrust(
  config: MeshConfig,
  generation: number,
): Promise<Result<MeshTrust, string>> {
  const { trust, revoked } = config;
  const appraisal = await appraisalOf(trust.appraisalFile, generation);
  if (!appraisal.ok) return appraisal;
  const kmsRoots = await rootsOf(trust.kmsRootsFile);
  if (!kmsRoots.ok) return kmsRoots;
  const bundles = await bundlesOf(trust.bundles);
  if (!bundles.ok) return bundles;
  const { insecureSimulatorRoot: root } = trust;
  const intel =
    root === undefined
      ? vendorAnchors.intel
      : new Set([...vendorAnchors.intel, root.toLowerCase()]);
  return ok({
    appraisal: appraisal.value,
    anchors: { ...vendorAnchors, intel },
    kmsRoots: kmsRoots.value,
    bundles: bundles.value,
    certificateLifetimeMsMax: trust.certificateSecondsMax * 1_000,
    clockSkewMsMax: trust.clockSkewSeconds * 1_000,
    revoked: revokedOf(revoked),
  });
}

async function appraisalOf(
  file: string | undefined,
  generation: number,
): Promise<Result<AppraisalPolicy | undefined, string>> {
  if (file === undefined) return ok(undefined);
  const text = await read(file);
  if (!text.ok) return text;
  const document = parseDocument(text.value);
  if (!document.ok) {
    const { line, column, message } = document.error;
    return err(`${file}:${line}:${column}: ${message}`);
  }
  const { value, problems } = document.value.plain;
  const [problem] = problems;
  if (problem !== undefined) return err(`${file}: ${JSON.stringify(problem)}`);
  const parsed = parseAppraisal(value);
  if ('policy' in parsed) return ok(appraisalPolicyOf(parsed.policy, generation));
  const issues = parsed.issues.map(({ pointer, message }) => `${pointer}: ${message}`);
  return err(`${file}: ${issues.join('; ')}`);
}

async function rootsOf(file: string | undefined): Promise<Result<readonly Certificate[], string>> {
  if (file === undefined) return ok([]);
  const text = await read(file);
  if (!text.ok) return text;
  const roots: Certificate[] = [];
  const blocks = readPem(text.value);
  if (!blocks.ok) return err(`${file}: no PEM`);
  for (const { bytes } of blocks.value) {
    const parsed = parseCertificate(bytes);
    if (!parsed.ok) return err(`${file}: ${parsed.error.detail}`);
    roots.push(parsed.value);
  }
  return roots.length > 0 ? ok(roots) : err(`${file}: no certificate`);
}

async function bundlesOf(
  files: MeshConfig['trust']['bundles'],
): Promise<Result<ReadonlyMap<string, SpiffeBundle>, string>> {
  const bundles = new Map<string, SpiffeBundle>();
  for (const [domain, file] of Object.entries(files)) {
    // oxlint-disable-next-line no-await-in-loop -- a few files, in order
    const text = await read(file);
    if (!text.ok) return text;
    const json = parseJson(Buffer.from(text.value), {
      ...requestJsonLimits,
      bytesMax: fileBytesMax,
    });
    if (!json.ok) return err(`${file}: ${json.error.message}`);
    const bundle = parseSpiffeBundle(domain, json.value.value);
    if (!bundle.ok) return err(`${file}: ${bundle.error.detail}`);
    bundles.set(domain, bundle.value);
  }
  return ok(bundles);
}

async function read(file: string): Promise<Result<string, string>> {
  try {
    const bytes = await readFile(file);
    if (bytes.length > fileBytesMax) return err(`${file}: larger than ${fileBytesMax} bytes`);
    return ok(bytes.toString('utf8'));
  } catch (cause) {
    return err(`${file}: ${cause instanceof Error ? cause.message : 'cannot be read'}`);
  }
}
