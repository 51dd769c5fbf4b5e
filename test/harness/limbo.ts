/**
 * x509-limbo: every case is given to the product's own parser and path search, with node:crypto under it.
 * Cases of the `webpki` namespace (and of its `pedantic-webpki` features) run under the web profile, the
 * rest under RFC 5280's, because the two contradict each other (a CA in leaf position, for one).
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import {
  type Certificate,
  type KeyUsage,
  type PeerName,
  parseCertificate,
  parseRevocationList,
  profiles,
  type RevocationList,
  usageOid,
  verifyPath,
} from '@postern/core/attest/x509';
import { readPem } from '@postern/core/base/der';
import { z } from 'zod';
import { nodeSignatureVerifier } from '../../packages/server/src/adapters/crypto-node/index.ts';
import type { CaseResult, Suite } from './suite.ts';

const peerName = z.object({ kind: z.enum(['DNS', 'IP', 'RFC822']), value: z.string() });

const testcase = z.object({
  id: z.string(),
  features: z.array(z.string()).nullish(),
  validation_kind: z.enum(['CLIENT', 'SERVER']),
  trusted_certs: z.array(z.string()),
  untrusted_intermediates: z.array(z.string()),
  peer_certificate: z.string(),
  peer_certificate_key: z.string().nullish(),
  validation_time: z.string().nullish(),
  key_usage: z.array(z.string()).nullish(),
  extended_key_usage: z.array(z.string()).nullish(),
  expected_result: z.enum(['SUCCESS', 'FAILURE']),
  expected_peer_name: peerName.nullish(),
  expected_peer_names: z.array(peerName).nullish(),
  max_chain_depth: z.number().nullish(),
  crls: z.array(z.string()).nullish(),
});

export type LimboCase = z.infer<typeof testcase>;

const limboFile = z.object({ testcases: z.array(testcase) });

/** Features that a case must not have, with the reason. Every other feature is supported. */
const unsupported: Readonly<Record<string, string>> = {
  'pedantic-public-suffix-wildcard':
    'needs the Public Suffix List, which a private mesh neither has nor asks',
};

const supported: ReadonlySet<string> = new Set([
  'has-crl',
  'has-policy-constraints',
  'has-cert-policies',
  'max-chain-depth',
  'denial-of-service',
  'name-constraint-dn',
  'rfc5280-incompatible-with-webpki',
  'pedantic-rfc5280',
  'pedantic-serial-number',
  'pedantic-webpki',
  'pedantic-webpki-eku',
  'pedantic-webpki-subscriber-key',
]);

const usages: Readonly<Record<string, string>> = {
  anyExtendedKeyUsage: usageOid.any,
  serverAuth: usageOid.serverAuth,
  clientAuth: usageOid.clientAuth,
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
};

export function limboCases(text: string): readonly LimboCase[] {
  return limboFile.parse(JSON.parse(text)).testcases;
}

/** The octets of an address in text, by way of the URL parser's normal form for IPv6. */
function addressOf(text: string): Uint8Array {
  if (isIP(text) === 4) return Uint8Array.from(text.split('.').map(Number));
  const normal = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const [head = '', tail] = normal.split('::');
  const groups = (part: string): readonly string[] => (part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const gap = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const numbers = [...left, ...gap, ...right].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(numbers.flatMap((number) => [number >> 8, number & 0xff]));
}

function nameOf(name: z.infer<typeof peerName>): PeerName {
  if (name.kind === 'IP') return { kind: 'ip', address: addressOf(name.value) };
  return { kind: name.kind === 'DNS' ? 'dns' : 'email', value: name.value };
}

function blockOf(pem: string): Uint8Array {
  const blocks = readPem(pem);
  const block = blocks.ok ? blocks.value[0] : undefined;
  // Not PEM at all is left to the DER parser to refuse.
  return block?.bytes ?? new Uint8Array();
}

/** Certificates that parse; others cannot be part of any path. */
function readable(pems: readonly string[]): readonly Certificate[] {
  return pems.flatMap((pem) => {
    const certificate = parseCertificate(blockOf(pem));
    return certificate.ok ? [certificate.value] : [];
  });
}

/** Our verdict: undefined if the chain is accepted, else why it is not. */
export function limboVerdict(limbo: LimboCase, now: number): string | undefined {
  const leaf = parseCertificate(blockOf(limbo.peer_certificate));
  if (!leaf.ok) return `leaf malformed: ${leaf.error.detail}`;
  const lists: RevocationList[] = [];
  for (const pem of limbo.crls ?? []) {
    const list = parseRevocationList(blockOf(pem));
    if (!list.ok) return `revocation list malformed: ${list.error.detail}`;
    lists.push(list.value);
  }
  const isServer = limbo.validation_kind === 'SERVER';
  const names = [limbo.expected_peer_name ?? [], limbo.expected_peer_names ?? []].flat();
  const given = (limbo.extended_key_usage ?? []).map((usage) => usages[usage] ?? usage);
  const byDefault = isServer ? usageOid.serverAuth : usageOid.clientAuth;
  const result = verifyPath(
    {
      leaf: leaf.value,
      intermediates: readable(limbo.untrusted_intermediates),
      anchors: readable(limbo.trusted_certs),
      at: typeof limbo.validation_time === 'string' ? Date.parse(limbo.validation_time) : now,
      profile: limbo.id.startsWith('webpki::') ? profiles.webpki : profiles.rfc5280,
      purposes: given.length === 0 ? [byDefault] : given,
      // The suite's names for key usages are those of RFC 5280.
      keyUsages: (limbo.key_usage ?? []) as KeyUsage[],
      peerNames: names.map(nameOf),
      ...(typeof limbo.max_chain_depth === 'number'
        ? { intermediatesMax: limbo.max_chain_depth }
        : {}),
      ...(lists.length === 0 ? {} : { revocation: { lists, mode: 'if-listed' as const } }),
    },
    nodeSignatureVerifier,
  );
  return result.ok ? undefined : `${result.error.code}: ${result.error.detail}`;
}

/** A fault of ours fails its own case, whatever was expected, and not the run. */
function verdictOrFault(limbo: LimboCase, now: number): string | undefined | Error {
  try {
    return limboVerdict(limbo, now);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function judge(limbo: LimboCase, now: number): CaseResult {
  const { id } = limbo;
  for (const feature of limbo.features ?? []) {
    const why = unsupported[feature];
    if (why !== undefined) return { id, pass: false, skip: true, why: `${feature}: ${why}` };
    if (!supported.has(feature)) {
      return { id, pass: false, skip: true, why: `${feature}: not known here` };
    }
  }
  const refusal = verdictOrFault(limbo, now);
  if (refusal instanceof Error) return { id, pass: false, why: `fault: ${refusal.message}` };
  const isAccepted = refusal === undefined;
  return {
    id,
    pass: isAccepted === (limbo.expected_result === 'SUCCESS'),
    why: refusal ?? 'accepted',
  };
}

export const suite: Suite = async function* limbo(files) {
  const now = Date.now();
  for (const file of files) {
    for (const limbo of limboCases(await readFile(file, 'utf8'))) yield judge(limbo, now);
  }
};
